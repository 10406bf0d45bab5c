// The layer that lets one source be CUDA (nvcc, NVRTC) and plain C++.
//
// A kernel is a sequence of phases. Within a phase every thread of a block runs on its own; between
// phases the block waits for all of them. On a device a phase is the thread that executes it and a
// barrier; on a host it is a loop over the threads, which keeps the arithmetic and its order.
//
//     FOR_EACH_THREAD(thread, kThreads) { ... } END_PHASE
//
// What a thread keeps from phase to phase lives in `PerThread`, registers on a device.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define EFFVIT_DEVICE_CODE 1
#else
#define EFFVIT_DEVICE_CODE 0
#include <cstdint>
#include <cstring>
#endif

#if EFFVIT_DEVICE_CODE
#define EFFVIT_FN __device__ __forceinline__
#define FOR_EACH_THREAD(thread, threads) \
  {                                      \
    const int thread = threadIdx.x;
#define END_PHASE \
  }               \
  __syncthreads();
#define UNROLL _Pragma("unroll")
#else
#define EFFVIT_FN inline
#define FOR_EACH_THREAD(thread, threads) for (int thread = 0; thread < (threads); ++thread) {
#define END_PHASE }
#define UNROLL
#endif

namespace effvit {

template <typename Value, int kThreads>
struct PerThread {
#if EFFVIT_DEVICE_CODE
  Value value;
  EFFVIT_FN Value& operator[](int) { return value; }
#else
  Value value[kThreads];
  EFFVIT_FN Value& operator[](int thread) { return value[thread]; }
#endif
};

// Four floats that a device reads from shared memory in one instruction.
struct alignas(16) Float4 {
  float lane[4];
};

// IEEE half precision by its bits, so that no compiler needs a header for it.
struct Half {
  unsigned short bits;
};

using Float = float;

EFFVIT_FN float load(const float* at) { return *at; }
EFFVIT_FN void store(float* at, float value) { *at = value; }

#if EFFVIT_DEVICE_CODE

EFFVIT_FN float load(const Half* at) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(at->bits));
  return value;
}

EFFVIT_FN void store(Half* at, float value) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(at->bits) : "f"(value));
}

#else

inline float load(const Half* at) {
  const std::uint32_t sign = (at->bits & 0x8000u) << 16;
  const std::uint32_t exponent = (at->bits >> 10) & 31u;
  const std::uint32_t fraction = at->bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals, exact in float
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  const std::uint32_t bits = sign | (wide << 23) | (fraction << 13);
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// To nearest, ties to even, as cvt.rn.
inline void store(Half* at, float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  std::uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u;  // NaN
  } else if (magnitude >= 0x477ff000u) {
    half = 0x7c00u;  // 65520 and more
  } else if (magnitude >= 0x38800000u) {  // 2^-14: normal
    const std::uint32_t odd = (magnitude >> 13) & 1u;
    half = (magnitude + 0xfffu + odd - 0x38000000u) >> 13;
  } else {  // adding 1/2 leaves the multiples of 2^-24 in the lowest bits, rounded
    float small;
    std::memcpy(&small, &magnitude, sizeof small);
    small += 0.5f;
    std::memcpy(&half, &small, sizeof half);
    half -= 0x3f000000u;
  }
  at->bits = static_cast<unsigned short>(sign | half);
}

#endif

}  // namespace effvit
