// The kernels by name, for nvcc, for NVRTC and, as functions of one block, for a host.
#include "attention.h"

#if EFFVIT_DEVICE_CODE
// Three blocks on a multiprocessor: without the number ptxas of CUDA 12.6 spills a few registers of
// some kernels on sm_80 and sm_90 to fit more blocks; with it none does, in 12.6 and 13.0.
#define KERNEL(name, ...)                                                                         \
  extern "C" __global__ void __launch_bounds__(__VA_ARGS__::kThreads, 3)                          \
      name(const effvit::Launch launch) {                                                         \
    __shared__ typename __VA_ARGS__::Shared shared;                                               \
    __VA_ARGS__::block(launch, blockIdx.x, blockIdx.y, shared);                                   \
  }
#else
#define KERNEL(name, ...)                                              \
  static void name(const effvit::Launch& launch, int row, int slice) { \
    __VA_ARGS__::Shared shared;                                        \
    __VA_ARGS__::block(launch, row, slice, shared);                    \
  }
#endif

#define KERNELS(name, dim, Value)                                                        \
  KERNEL(effvit_summary_##name, effvit::Summary<dim, effvit::Value, effvit::KeepSummary>) \
  KERNEL(effvit_answer_##name, effvit::Answer<dim, effvit::Value>)
#define STEP_KERNEL(name, dim, Value, State) \
  KERNEL(effvit_push_##name,                 \
         effvit::Summary<dim, effvit::Value, effvit::PushIntoRing<effvit::State>>)

KERNELS(f32_d16, 16, Float)
KERNELS(f32_d32, 32, Float)
KERNELS(f16_d16, 16, Half)
KERNELS(f16_d32, 32, Half)
// storage of the frame, then of the ring
STEP_KERNEL(f32_f32_d16, 16, Float, Float)
STEP_KERNEL(f32_f32_d32, 32, Float, Float)
STEP_KERNEL(f16_f16_d16, 16, Half, Half)
STEP_KERNEL(f16_f16_d32, 32, Half, Half)
STEP_KERNEL(f16_f32_d16, 16, Half, Float)
STEP_KERNEL(f16_f32_d32, 32, Half, Float)
