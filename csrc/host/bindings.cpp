// The pybind11 module fastgan._C: what was built, what the CPU can do, and host helpers. No tensor operators:
// those live in fastgan/_ops*.so and load without this module.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "cpu/capability.h"
#include "cpu/fma_peak.h"
#include "cpu/noise.h"

namespace py = pybind11;

namespace {

py::dict build_config() {
  py::dict config;
  config["compiler"] = FASTGAN_COMPILER;
  config["torch"] = FASTGAN_TORCH_VERSION;
  config["cuda"] = FASTGAN_CUDA_VERSION;
  config["cuda_archs"] = FASTGAN_CUDA_ARCHS;
  return config;
}

// A generator of noise/1, its result as an array [count, words].
template <class T, void (*generate)(uint64_t, uint32_t, uint64_t, int64_t, int64_t, T*)>
py::array_t<T> generated(uint64_t seed, uint32_t stream, uint64_t first, int64_t count, int64_t words) {
  if (count < 0 || words < 0) throw py::value_error("count and words must not be negative");
  py::array_t<T> out({count, words});
  T* const data = out.mutable_data();
  const py::gil_scoped_release release;
  generate(seed, stream, first, count, words, data);
  return out;
}

double fma_peak(int threads, double seconds) {
  if (threads < 1 || !(seconds > 0)) throw py::value_error("threads and seconds must be positive");
  const py::gil_scoped_release release;
  return fastgan::cpu::fma_peak(threads, seconds);
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "Facts about the native build of fastgan, and host helpers.";
  m.def("build_config", &build_config,
        "What the native part was built with; empty strings where not at all.");
  m.def("cpu_capabilities", &fastgan::cpu::supported_names,
        "Names of the capabilities this machine can execute, best first.");
  m.def("fma_peak", &fma_peak, py::arg("threads"), py::arg("seconds"),
        "float32 operations a second of multiply-adds in registers, with the capability in force.");
  m.def("philox_bits", &generated<uint32_t, &fastgan::cpu::philox_bits>, py::arg("seed"), py::arg("stream"),
        py::arg("first"), py::arg("count"), py::arg("words"), "fastgan.noise.bits: uint32 [count, words].");
  m.def("philox_normal", &generated<float, &fastgan::cpu::philox_normal>, py::arg("seed"), py::arg("stream"),
        py::arg("first"), py::arg("count"), py::arg("words"),
        "fastgan.noise.normal: float32 [count, words].");
}
