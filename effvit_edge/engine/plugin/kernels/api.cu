// The C interface: checks, the choice of kernels, the launches. Compiled by nvcc, or for a host.
#include "api.h"

#include <cmath>

#include "kernels.cu"

#if defined(_WIN32)
#define EFFVIT_EXPORT extern "C" __declspec(dllexport)
#else
#define EFFVIT_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

#if EFFVIT_DEVICE_CODE
using Kernel = void (*)(const effvit::Launch);
#else
using Kernel = void (*)(const effvit::Launch&, int, int);
#endif

constexpr long long kMostBlocks = 0x7fffffff;  // of a grid's first axis
constexpr int kAnswerThreads = effvit::Answer<16, float>::kThreads;
// About as many blocks as keep the largest of the devices busy with small frames.
constexpr long long kEnoughBlocks = 256;

bool is_type(int type) { return type == EFFVIT_FLOAT || type == EFFVIT_HALF; }

int check(const EffvitShape* s) {
  if (s == nullptr) return EFFVIT_NO_POINTER;
  if (s->batch < 1 || s->frames < 1 || s->heads < 1 || s->tokens < 1) return EFFVIT_BAD_SIZE;
  if (s->head_dim != 16 && s->head_dim != 32) return EFFVIT_BAD_DIM;
  if (!is_type(s->type)) return EFFVIT_BAD_TYPE;
  if (s->causal && s->window < 1) return EFFVIT_BAD_WINDOW;
  // two factors at a time, so that no product of three overflows unseen
  const long long frames = static_cast<long long>(s->batch) * s->frames;
  if (frames > kMostBlocks || frames * s->heads > kMostBlocks) return EFFVIT_BAD_SIZE;
  return EFFVIT_OK;
}

int check_step(const EffvitShape* s) {
  if (const int status = check(s)) return status;
  if (s->frames != 1) return EFFVIT_BAD_SIZE;
  if (!s->causal || s->window < 2) return EFFVIT_BAD_WINDOW;
  if (!is_type(s->state_type)) return EFFVIT_BAD_TYPE;
  if (s->type == EFFVIT_FLOAT && s->state_type == EFFVIT_HALF) return EFFVIT_BAD_TYPE;
  return EFFVIT_OK;
}

int rows(const EffvitShape* s) { return s->batch * s->frames * s->heads; }

// core/attention_op.py has the reasons.
float key_factor(double tokens) {
  const double gain = 0.2 * std::sqrt(tokens);
  return static_cast<float>((gain > 2.0 ? gain : 2.0) / tokens);
}

effvit::Launch make_launch(const EffvitShape* s, const void* qkv, void* out, void* workspace) {
  effvit::Launch launch = effvit::Launch();
  launch.qkv = qkv;
  launch.out = out;
  launch.summaries = static_cast<float*>(workspace);
  launch.batch = s->batch;
  launch.frames = s->frames;
  launch.heads = s->heads;
  launch.tokens = s->tokens;
  launch.window = s->causal ? s->window : s->frames;
  launch.sum_window = launch.window;
  launch.causal = s->causal != 0;
  launch.key_factor = key_factor(static_cast<double>(launch.window) * s->tokens);
  launch.eps = s->eps;
  const long long most = (s->tokens - 1) / kAnswerThreads + 1;
  const long long wanted = (kEnoughBlocks - 1) / rows(s) + 1;
  launch.slices = static_cast<int>(most < wanted ? most : wanted);
  return launch;
}

int run(Kernel kernel, int blocks, int slices, int threads, const effvit::Launch& launch,
        void* stream) {
#if EFFVIT_DEVICE_CODE
  kernel<<<dim3(blocks, slices), threads, 0, static_cast<cudaStream_t>(stream)>>>(launch);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? EFFVIT_OK : EFFVIT_CUDA + static_cast<int>(error);
#else
  static_cast<void>(threads);
  static_cast<void>(stream);
  for (int block = 0; block < blocks; ++block) {
    for (int slice = 0; slice < slices; ++slice) kernel(launch, block, slice);
  }
  return EFFVIT_OK;
#endif
}

int summary_threads(const EffvitShape* s) {
  return s->head_dim == 16 ? effvit::Summary<16, float, effvit::KeepSummary>::kThreads
                           : effvit::Summary<32, float, effvit::KeepSummary>::kThreads;
}

int run_both(Kernel summary, const EffvitShape* s, const effvit::Launch& launch, void* stream) {
  static const Kernel answers[2][2] = {{effvit_answer_f32_d16, effvit_answer_f32_d32},
                                       {effvit_answer_f16_d16, effvit_answer_f16_d32}};
  if (const int status = run(summary, rows(s), 1, summary_threads(s), launch, stream)) {
    return status;
  }
  const Kernel answer = answers[s->type][s->head_dim == 32];
  return run(answer, rows(s), launch.slices, kAnswerThreads, launch, stream);
}

}  // namespace

EFFVIT_EXPORT int effvit_abi(void) { return EFFVIT_ABI; }

EFFVIT_EXPORT size_t effvit_workspace_bytes(const EffvitShape* shape) {
  if (check(shape) != EFFVIT_OK) return 0;
  const int summary =
      shape->head_dim == 16 ? effvit::Sizes<16>::kSummary : effvit::Sizes<32>::kSummary;
  return sizeof(float) * rows(shape) * summary;
}

EFFVIT_EXPORT int effvit_clip(const EffvitShape* shape, const void* qkv, void* out,
                              void* workspace, void* stream) {
  static const Kernel summaries[2][2] = {{effvit_summary_f32_d16, effvit_summary_f32_d32},
                                         {effvit_summary_f16_d16, effvit_summary_f16_d32}};
  if (const int status = check(shape)) return status;
  if (!qkv || !out || !workspace) return EFFVIT_NO_POINTER;
  const Kernel summary = summaries[shape->type][shape->head_dim == 32];
  return run_both(summary, shape, make_launch(shape, qkv, out, workspace), stream);
}

EFFVIT_EXPORT int effvit_step(const EffvitShape* shape, const void* qkv, const void* ring,
                              const void* frames_seen, void* out, void* next_ring,
                              void* workspace, void* stream) {
  // by the type of the frame plus that of the ring
  static const Kernel pushes[3][2] = {{effvit_push_f32_f32_d16, effvit_push_f32_f32_d32},
                                      {effvit_push_f16_f32_d16, effvit_push_f16_f32_d32},
                                      {effvit_push_f16_f16_d16, effvit_push_f16_f16_d32}};
  if (const int status = check_step(shape)) return status;
  if (!qkv || !ring || !frames_seen || !out || !next_ring || !workspace) return EFFVIT_NO_POINTER;
  effvit::Launch launch = make_launch(shape, qkv, out, workspace);
  launch.ring = ring;
  launch.next_ring = next_ring;
  launch.frames_seen = frames_seen;
  launch.sum_window = 1;  // the workspace holds the window's sum
  const Kernel push = pushes[shape->type + shape->state_type][shape->head_dim == 32];
  return run_both(push, shape, launch, stream);
}
