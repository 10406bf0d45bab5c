/* The C interface of the attention kernels. Works with any caller: ctypes, a TensorRT plugin.
 *
 * All pointers are of the device's memory (of the host's, in a library compiled for the host), in
 * plain row-major layout. Calls are asynchronous on `stream`, a cudaStream_t; a host library ignores
 * it. Nothing is allocated.
 */
#ifndef EFFVIT_API_H_
#define EFFVIT_API_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EFFVIT_ABI 1

enum EffvitStatus {
  EFFVIT_OK = 0,
  EFFVIT_BAD_SIZE = 1,    /* a size below 1, or a product of them that does not fit */
  EFFVIT_BAD_DIM = 2,     /* head_dim is neither 16 nor 32 */
  EFFVIT_BAD_TYPE = 3,    /* not an EffvitType, or a combination there is no kernel for */
  EFFVIT_BAD_WINDOW = 4,  /* a step sums at least two frames; with one there is no ring */
  EFFVIT_NO_POINTER = 5,
  EFFVIT_CUDA = 1000      /* plus the cudaError_t of the launch */
};

enum EffvitType { EFFVIT_FLOAT = 0, EFFVIT_HALF = 1 };

/* B batch, T frames, M window in frames, d head_dim, N tokens of a frame. */
typedef struct EffvitShape {
  int batch;
  int frames; /* T; 1 for a step */
  int heads;
  int head_dim;
  int tokens;
  int window;     /* M; of a clip that is not causal: ignored */
  int causal;     /* 0: every frame sees the whole clip */
  int type;       /* EffvitType of qkv and out */
  int state_type; /* step: EffvitType of the ring and of frames_seen */
  float eps;
} EffvitShape;

int effvit_abi(void);

/* Bytes that `workspace` must have, 0 where the shape is refused. Aligned to 4. */
size_t effvit_workspace_bytes(const EffvitShape* shape);

/* A clip: qkv (T*B, heads, 3d, N) -> out (T*B, heads, d, N), frames time-major. */
int effvit_clip(const EffvitShape* shape, const void* qkv, void* out, void* workspace,
                void* stream);

/* A frame of B streams: qkv (B, heads, 3d, N), ring (B, M - 1, heads*(d + 1)*d), oldest first,
 * frames_seen (B), this frame included -> out (B, heads, d, N), next_ring; next_ring may be ring. */
int effvit_step(const EffvitShape* shape, const void* qkv, const void* ring,
                const void* frames_seen, void* out, void* next_ring, void* workspace,
                void* stream);

#ifdef __cplusplus
}
#endif

#endif
