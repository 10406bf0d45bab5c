// Drives the plugin in C++ as TensorRT would, with kernels and memory of this processor.
#include <NvInferRuntime.h>

#include <cstring>
#include <deque>
#include <vector>

#include "api.h"

using namespace nvinfer1;

extern "C" IPluginCreatorInterface* const* getCreators(int32_t& count);

namespace {

// Dimensions are numbers in disguise, so that shapes can be computed without TensorRT.
struct Number final : IDimensionExpr, apiv::VDimensionExpr {
  explicit Number(int64_t value) : value(value) { mImpl = this; }
  bool isConstant() const override { return true; }
  int64_t getConstantValue() const override { return value; }
  bool isSizeTensor() const override { return false; }
  int64_t value;
};

struct Builder final : IExprBuilder, apiv::VExprBuilder {
  Builder() { mImpl = this; }
  IDimensionExpr const* constant(int64_t value) override { return &made.emplace_back(value); }
  IDimensionExpr const* operation(DimensionOperation kind, IDimensionExpr const& a,
                                  IDimensionExpr const& b) override {
    if (kind != DimensionOperation::kFLOOR_DIV) return nullptr;
    return constant(a.IDimensionExpr::getConstantValue() / b.IDimensionExpr::getConstantValue());
  }
  IDimensionExpr const* declareSizeTensor(int32_t, IDimensionExpr const&,
                                          IDimensionExpr const&) override {
    return nullptr;
  }
  std::deque<Number> made;  // whose elements keep their places
};

IPluginCreatorV3One* find(char const* name) {
  int32_t count = 0;
  IPluginCreatorInterface* const* creators = getCreators(count);
  for (int32_t i = 0; i < count; ++i) {
    auto* creator = static_cast<IPluginCreatorV3One*>(creators[i]);
    if (!std::strcmp(creator->getPluginName(), name)) return creator;
  }
  return nullptr;
}

DynamicPluginTensorDesc describe(int64_t const* dims, int32_t rank, int32_t is_half) {
  DynamicPluginTensorDesc tensor{};
  tensor.desc.dims.nbDims = rank;
  std::memcpy(tensor.desc.dims.d, dims, rank * sizeof *dims);
  tensor.desc.type = is_half ? DataType::kHALF : DataType::kFLOAT;
  tensor.desc.format = TensorFormat::kLINEAR;
  tensor.min = tensor.opt = tensor.max = tensor.desc.dims;
  return tensor;
}

bool shapes_agree(IPluginV3OneBuild& build, DynamicPluginTensorDesc const* tensors,
                  int32_t inputs, int32_t outputs) {
  Builder builder;
  DimsExprs in[3]{}, out[2]{};
  for (int32_t i = 0; i < inputs; ++i) {
    in[i].nbDims = tensors[i].desc.dims.nbDims;
    for (int32_t j = 0; j < in[i].nbDims; ++j) {
      in[i].d[j] = builder.Builder::constant(tensors[i].desc.dims.d[j]);
    }
  }
  if (build.getOutputShapes(in, inputs, nullptr, 0, out, outputs, builder)) return false;
  for (int32_t i = 0; i < outputs; ++i) {
    Dims const& dims = tensors[inputs + i].desc.dims;
    if (out[i].nbDims != dims.nbDims) return false;
    for (int32_t j = 0; j < dims.nbDims; ++j) {
      if (out[i].d[j]->getConstantValue() != dims.d[j]) return false;
    }
  }
  return true;
}

}  // namespace

// Steps of the check that failed are told by their number; 0 is success. `ranks`, `dims` (one after
// another) and `is_half` describe inputs, then outputs; `with_window` leaves an attribute out.
extern "C" __attribute__((visibility("default"))) int drive(
    char const* name, float eps, int32_t window, int32_t causal, int32_t batch, int with_window,
    int32_t inputs, int32_t outputs, int32_t const* ranks, int64_t const* dims,
    int32_t const* is_half, void** addresses) {
  IPluginCreatorV3One* creator = find(name);
  if (!creator) return 1;
  PluginField fields[] = {{"eps", &eps, PluginFieldType::kFLOAT32, 1},
                          {"causal", &causal, PluginFieldType::kINT32, 1},
                          {"batch", &batch, PluginFieldType::kINT32, 1},
                          {"window", &window, PluginFieldType::kINT32, 1}};
  PluginFieldCollection given{with_window ? 4 : 3, fields};
  IPluginV3* parsed = creator->createPlugin("node", &given, TensorRTPhase::kBUILD);
  if (!parsed) return 2;

  std::vector<DynamicPluginTensorDesc> tensors;
  std::vector<PluginTensorDesc> descs;
  for (int32_t i = 0; i < inputs + outputs; dims += ranks[i], ++i) {
    tensors.push_back(describe(dims, ranks[i], is_half[i]));
    descs.push_back(tensors.back().desc);
  }
  auto* build = static_cast<IPluginV3OneBuild*>(
      parsed->getCapabilityInterface(PluginCapabilityType::kBUILD));
  if (build->getNbOutputs() != outputs) return 3;
  for (int32_t i = 0; i < inputs + outputs; ++i) {
    if (!build->supportsFormatCombination(i, tensors.data(), inputs, outputs)) return 10 + i;
  }
  DataType types[3], answers[2];
  for (int32_t i = 0; i < inputs; ++i) types[i] = tensors[i].desc.type;
  if (build->getOutputDataTypes(answers, outputs, types, inputs)) return 4;
  for (int32_t i = 0; i < outputs; ++i) {
    if (answers[i] != tensors[inputs + i].desc.type) return 4;
  }
  if (!shapes_agree(*build, tensors.data(), inputs, outputs)) return 5;
  if (build->configurePlugin(tensors.data(), inputs, tensors.data() + inputs, outputs)) return 6;
  size_t const bytes =
      build->getWorkspaceSize(tensors.data(), inputs, tensors.data() + inputs, outputs);

  // as an engine does: from what was serialized
  auto* writer = static_cast<IPluginV3OneRuntime*>(
      parsed->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  IPluginV3* read =
      creator->createPlugin("node", writer->getFieldsToSerialize(), TensorRTPhase::kRUNTIME);
  if (!read) return 7;
  auto* runtime = static_cast<IPluginV3OneRuntime*>(
      read->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  IPluginV3* attached = runtime->attachToContext(nullptr);
  runtime = static_cast<IPluginV3OneRuntime*>(
      attached->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
  std::vector<char> workspace(bytes);
  int status = 8;
  if (!runtime->onShapeChange(descs.data(), inputs, descs.data() + inputs, outputs)) {
    status = runtime->enqueue(descs.data(), descs.data() + inputs, addresses, addresses + inputs,
                              workspace.data(), nullptr)
                 ? 9
                 : 0;
  }
  delete attached;
  delete read;
  delete parsed;
  return status;
}
