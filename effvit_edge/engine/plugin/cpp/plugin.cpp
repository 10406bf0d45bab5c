// The operator as a TensorRT plugin in C++: IPluginV3 as of TensorRT 10.3.
//
// Name, version, namespace, fields and shapes are those of the Python plugin; what they mean is in
// engine/plugin/__init__.py. TensorRT finds the creators through getCreators when a registry loads
// the library, so nothing of TensorRT is linked.
#include <NvInferRuntime.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>

#include "api.h"

#define EFFVIT_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using namespace nvinfer1;

constexpr char const* kNamespace = "effvit_edge";
constexpr char const* kVersion = "1";
constexpr char const* kClipName = "ReluLinearAttention3d";
constexpr char const* kStepName = "ReluLinearAttention3dStep";
constexpr int32_t kFailure = -1;

struct Fields {
  float eps = 0.0f;
  int32_t window = 0;
  int32_t causal = 1;
  int32_t batch = 1;
};

bool is_float(DataType type) { return type == DataType::kFLOAT || type == DataType::kHALF; }
int storage(DataType type) { return type == DataType::kHALF ? EFFVIT_HALF : EFFVIT_FLOAT; }

// TensorRT's own logger, which it hands over when it loads the library.
ILoggerFinder* logger_finder = nullptr;

int32_t fail(char const* name, char const* what) {
  char message[256];
  std::snprintf(message, sizeof message, "%s::%s: %s", kNamespace, name, what);
  ILogger* const logger = logger_finder == nullptr ? nullptr : logger_finder->findLogger();
  if (logger != nullptr) {
    logger->log(ILogger::Severity::kERROR, message);
  } else {
    std::fprintf(stderr, "%s\n", message);
  }
  return kFailure;
}

// What both forms have. `Form` says how shapes become an EffvitShape and calls the kernels.
template <typename Form>
class Plugin final : public IPluginV3,
                     public IPluginV3OneCore,
                     public IPluginV3OneBuild,
                     public IPluginV3OneRuntime {
 public:
  explicit Plugin(Fields const& fields) : fields_(fields) {}
  Plugin(Plugin const&) = delete;
  Plugin& operator=(Plugin const&) = delete;

  IPluginCapability* getCapabilityInterface(PluginCapabilityType type) noexcept override {
    switch (type) {
      case PluginCapabilityType::kCORE: return static_cast<IPluginV3OneCore*>(this);
      case PluginCapabilityType::kBUILD: return static_cast<IPluginV3OneBuild*>(this);
      case PluginCapabilityType::kRUNTIME: return static_cast<IPluginV3OneRuntime*>(this);
    }
    return nullptr;
  }
  IPluginV3* clone() noexcept override { return new (std::nothrow) Plugin(fields_); }
  IPluginV3* attachToContext(IPluginResourceContext*) noexcept override { return clone(); }

  AsciiChar const* getPluginName() const noexcept override { return Form::kName; }
  AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
  AsciiChar const* getPluginNamespace() const noexcept override { return kNamespace; }
  int32_t getNbOutputs() const noexcept override { return Form::kOutputs; }

  int32_t configurePlugin(DynamicPluginTensorDesc const*, int32_t, DynamicPluginTensorDesc const*,
                          int32_t) noexcept override {
    return 0;
  }

  bool supportsFormatCombination(int32_t position, DynamicPluginTensorDesc const* tensors, int32_t,
                                 int32_t) noexcept override {
    return tensors[position].desc.format == TensorFormat::kLINEAR &&
           Form::supports(position, tensors);
  }

  int32_t getOutputDataTypes(DataType* outputs, int32_t, DataType const* inputs,
                             int32_t) const noexcept override {
    // out like qkv, next_ring like ring
    for (int32_t i = 0; i < Form::kOutputs; ++i) outputs[i] = inputs[i];
    return 0;
  }

  int32_t getOutputShapes(DimsExprs const* inputs, int32_t, DimsExprs const*, int32_t,
                          DimsExprs* outputs, int32_t, IExprBuilder& builder) noexcept override {
    if (inputs[0].nbDims != 4) return fail(Form::kName, "qkv has not four axes");
    for (int32_t i = 0; i < Form::kOutputs; ++i) outputs[i] = inputs[i];
    IDimensionExpr const* three = builder.constant(3);
    outputs[0].d[2] = builder.operation(DimensionOperation::kFLOOR_DIV, *inputs[0].d[2], *three);
    return 0;
  }

  size_t getWorkspaceSize(DynamicPluginTensorDesc const* inputs, int32_t,
                          DynamicPluginTensorDesc const*, int32_t) const noexcept override {
    Dims const sizes[2] = {inputs[0].max, Form::kInputs > 1 ? inputs[1].max : Dims{}};
    DataType const types[2] = {inputs[0].desc.type,
                               inputs[Form::kInputs > 1 ? 1 : 0].desc.type};
    EffvitShape shape;
    return Form::shape(fields_, sizes, types, shape) ? effvit_workspace_bytes(&shape) : 0;
  }

  int32_t setTactic(int32_t) noexcept override { return 0; }

  int32_t onShapeChange(PluginTensorDesc const* inputs, int32_t, PluginTensorDesc const*,
                        int32_t) noexcept override {
    EffvitShape shape;
    if (!describe(inputs, shape) || effvit_workspace_bytes(&shape) == 0) {
      return fail(Form::kName, "the shapes of the inputs do not fit each other or the fields");
    }
    return 0;
  }

  int32_t enqueue(PluginTensorDesc const* input_descs, PluginTensorDesc const*,
                  void const* const* inputs, void* const* outputs, void* workspace,
                  cudaStream_t stream) noexcept override {
    EffvitShape shape;
    if (!describe(input_descs, shape)) return kFailure;
    int const status = Form::run(shape, inputs, outputs, workspace, stream);
    if (status == EFFVIT_OK) return 0;
    char message[64];
    std::snprintf(message, sizeof message, "the kernels end with status %d, see api.h", status);
    return fail(Form::kName, message);
  }

  PluginFieldCollection const* getFieldsToSerialize() noexcept override {
    serialized_[0] = PluginField("eps", &fields_.eps, PluginFieldType::kFLOAT32, 1);
    serialized_[1] = PluginField("window", &fields_.window, PluginFieldType::kINT32, 1);
    serialized_[2] = PluginField("causal", &fields_.causal, PluginFieldType::kINT32, 1);
    serialized_[3] = PluginField("batch", &fields_.batch, PluginFieldType::kINT32, 1);
    collection_ = PluginFieldCollection{Form::kFields, serialized_};
    return &collection_;
  }

 private:
  bool describe(PluginTensorDesc const* inputs, EffvitShape& shape) const {
    int const second = Form::kInputs > 1 ? 1 : 0;
    Dims const sizes[2] = {inputs[0].dims, inputs[second].dims};
    DataType const types[2] = {inputs[0].type, inputs[second].type};
    return Form::shape(fields_, sizes, types, shape);
  }

  Fields fields_;
  PluginField serialized_[4];
  PluginFieldCollection collection_{};
};

// qkv (F, heads, 3d, N): all but what time is.
bool describe_frames(Dims const& qkv, DataType type, EffvitShape& shape) {
  if (qkv.nbDims != 4 || qkv.d[2] % 3 != 0) return false;
  shape = EffvitShape{};
  shape.heads = static_cast<int>(qkv.d[1]);
  shape.head_dim = static_cast<int>(qkv.d[2] / 3);
  shape.tokens = static_cast<int>(qkv.d[3]);
  shape.type = storage(type);
  return true;
}

struct ClipForm {
  static constexpr char const* kName = kClipName;
  static constexpr int32_t kInputs = 1, kOutputs = 1, kFields = 4;

  static bool supports(int32_t position, DynamicPluginTensorDesc const* tensors) {
    return is_float(tensors[0].desc.type) && tensors[position].desc.type == tensors[0].desc.type;
  }

  static bool shape(Fields const& fields, Dims const* sizes, DataType const* types,
                    EffvitShape& shape) {
    if (!describe_frames(sizes[0], types[0], shape)) return false;
    if (fields.batch < 1 || sizes[0].d[0] % fields.batch != 0) return false;
    shape.batch = fields.batch;
    shape.frames = static_cast<int>(sizes[0].d[0]) / fields.batch;
    shape.causal = fields.causal;
    shape.window = fields.causal ? fields.window : shape.frames;
    shape.eps = fields.eps;
    return true;
  }

  static int run(EffvitShape const& shape, void const* const* inputs, void* const* outputs,
                 void* workspace, cudaStream_t stream) {
    return effvit_clip(&shape, inputs[0], outputs[0], workspace, stream);
  }
};

struct StepForm {
  static constexpr char const* kName = kStepName;
  static constexpr int32_t kInputs = 3, kOutputs = 2, kFields = 1;

  // qkv, ring, frames_seen, out, next_ring
  static bool supports(int32_t position, DynamicPluginTensorDesc const* tensors) {
    DataType const type = tensors[position].desc.type;
    if (position == 0) return is_float(type);
    if (position == 1) return type == tensors[0].desc.type || type == DataType::kFLOAT;
    return type == tensors[position == 3 ? 0 : 1].desc.type;
  }

  static bool shape(Fields const& fields, Dims const* sizes, DataType const* types,
                    EffvitShape& shape) {
    Dims const& ring = sizes[1];
    if (!describe_frames(sizes[0], types[0], shape)) return false;
    int64_t const row = int64_t{shape.heads} * (shape.head_dim + 1) * shape.head_dim;
    if (ring.nbDims != 3 || ring.d[0] != sizes[0].d[0] || ring.d[2] != row) return false;
    shape.batch = static_cast<int>(sizes[0].d[0]);
    shape.frames = 1;
    shape.causal = 1;
    shape.window = static_cast<int>(ring.d[1]) + 1;
    shape.state_type = storage(types[1]);
    shape.eps = fields.eps;
    return true;
  }

  static int run(EffvitShape const& shape, void const* const* inputs, void* const* outputs,
                 void* workspace, cudaStream_t stream) {
    return effvit_step(&shape, inputs[0], inputs[1], inputs[2], outputs[0], outputs[1], workspace,
                       stream);
  }
};

template <typename Form>
class Creator final : public IPluginCreatorV3One {
 public:
  AsciiChar const* getPluginName() const noexcept override { return Form::kName; }
  AsciiChar const* getPluginVersion() const noexcept override { return kVersion; }
  AsciiChar const* getPluginNamespace() const noexcept override { return kNamespace; }
  PluginFieldCollection const* getFieldNames() noexcept override { return &declared_; }

  IPluginV3* createPlugin(AsciiChar const*, PluginFieldCollection const* given,
                          TensorRTPhase) noexcept override {
    Fields fields;
    bool has_eps = false, has_window = false;
    for (int32_t i = 0; i < given->nbFields; ++i) {
      PluginField const& field = given->fields[i];
      if (field.data == nullptr) continue;
      has_eps |= read(field, "eps", PluginFieldType::kFLOAT32, &fields.eps);
      has_window |= read(field, "window", PluginFieldType::kINT32, &fields.window);
      read(field, "causal", PluginFieldType::kINT32, &fields.causal);
      read(field, "batch", PluginFieldType::kINT32, &fields.batch);
    }
    if (!has_eps) {
      fail(Form::kName, "the node needs the attribute eps");
      return nullptr;
    }
    if (Form::kFields > 1 && fields.causal && !has_window) {
      fail(Form::kName, "a causal node needs the attribute window");
      return nullptr;
    }
    return new (std::nothrow) Plugin<Form>(fields);
  }

 private:
  template <typename Value>
  static bool read(PluginField const& field, char const* name, PluginFieldType type, Value* to) {
    if (std::strcmp(field.name, name) != 0 || field.type != type) return false;
    std::memcpy(to, field.data, sizeof(Value));
    return true;
  }

  PluginField fields_[4] = {PluginField("eps", nullptr, PluginFieldType::kFLOAT32, 1),
                            PluginField("window", nullptr, PluginFieldType::kINT32, 1),
                            PluginField("causal", nullptr, PluginFieldType::kINT32, 1),
                            PluginField("batch", nullptr, PluginFieldType::kINT32, 1)};
  PluginFieldCollection declared_{Form::kFields, fields_};
};

}  // namespace

// Both are called by IPluginRegistry::loadLibrary, which refuses a library without one of them.
EFFVIT_EXPORT void setLoggerFinder(ILoggerFinder* finder) { logger_finder = finder; }

EFFVIT_EXPORT IPluginCreatorInterface* const* getCreators(int32_t& count) {
  static Creator<ClipForm> clip;
  static Creator<StepForm> step;
  static IPluginCreatorInterface* const creators[] = {&clip, &step};
  count = 2;
  return creators;
}
