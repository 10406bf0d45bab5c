// What every kernel is given, by value. engine/plugin/launch.py mirrors it field by field.
#pragma once

namespace effvit {

// B batch, T frames, M window in frames, d head_dim, N tokens; F = T·B frames lie time-major.
struct Launch {
  const void* qkv;          // (F, heads, 3d, N): a head's queries, keys and values in turn
  void* out;                // (F, heads, d, N), of the type of qkv
  float* summaries;         // workspace: (F, heads, (d + 1)·d + 1)
  const void* ring;         // step: (B, M - 1, heads·(d + 1)·d), oldest first
  void* next_ring;          // step: the same; may be the ring itself
  const void* frames_seen;  // step: (B): frames in each stream's window, this one included
  int batch;
  int frames;  // T; 1 for a step
  int heads;
  int tokens;
  int window;      // M
  int sum_window;  // frames the answer sums: M, T where the clip is seen as a whole, 1 for a step
  int causal;      // 0: every frame sees the whole clip
  int slices;      // blocks that share the queries of one head
  float key_factor;  // κ = max(2, 0.2·√(M·N)) / (M·N)
  float eps;
};

}  // namespace effvit
