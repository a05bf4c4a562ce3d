# libfastgan.so and libfastgan.a with make and a C++ compiler alone: neither Python nor torch. Included by the
# Makefile; by hand: make -f csrc/c_api/library.mk CXX=aarch64-linux-gnu-g++ (in the repository's root).
# Sources and flags are those of building/, which builds the same library into the package; a test compares them.

C_API := build/c_api
C_API_SOURCES := $(wildcard csrc/c_api/*.cpp) $(addprefix csrc/cpu/, \
	affine_act.cpp affine_act_default.cpp affine_act_avx2.cpp affine_act_avx512.cpp \
	affine_act_conv.cpp affine_act_conv_default.cpp affine_act_conv_avx2.cpp affine_act_conv_avx512.cpp \
	capability.cpp frozen_generator.cpp frozen_program.cpp noise.cpp \
	pack_weight_default.cpp pack_weight_avx2.cpp pack_weight_avx512.cpp scratch.cpp team.cpp)
C_API_FLAGS := -std=c++17 -O3 -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno -fno-trapping-math \
	-Wall -Wextra -Icsrc -Ifastgan/include
C_API_LINK := -Wl,-soname,libfastgan.so -Wl,--version-script=csrc/c_api/exports.map -Wl,-z,defs -pthread
C_API_OBJECTS := $(patsubst csrc/%.cpp,$(C_API)/%.o,$(C_API_SOURCES))

.PHONY: c-api
c-api: $(C_API)/libfastgan.so $(C_API)/libfastgan.a  ## build/c_api/libfastgan.{so,a}, the C API, with make and a C++ compiler alone

$(C_API)/libfastgan.so: $(C_API_OBJECTS) csrc/c_api/exports.map
	$(CXX) -shared -o $@ $(C_API_OBJECTS) $(C_API_LINK)

$(C_API)/libfastgan.a: $(C_API_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $(C_API_OBJECTS)

$(C_API)/cpu/affine_act_conv_default.o $(C_API)/cpu/affine_act_conv_avx2.o $(C_API)/cpu/affine_act_conv_avx512.o: \
	C_API_FLAGS += -ffp-contract=fast

$(C_API)/%.o: csrc/%.cpp csrc/c_api/library.mk
	@mkdir -p $(@D)
	$(CXX) $(C_API_FLAGS) -MMD -c $< -o $@

-include $(C_API_OBJECTS:.o=.d)
