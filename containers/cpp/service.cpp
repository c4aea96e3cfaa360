#include "service.h"

#include <string>

#include "answer.h"

// One call of Predict: reads a batch, answers it, reads the next.
class ModelService::Stream final : public grpc::ServerBidiReactor<Batch, BatchResult> {
 public:
  explicit Stream(ModelService& service) : service_(service) {
    const std::lock_guard<std::mutex> lock(service_.mutex_);
    service_.streams_.insert(this);
    read();
  }

  // With the lock held; the read that is out comes to nothing.
  void end() {
    if (reading_ && !ended_) finish();
  }

 private:
  void read() {
    if (service_.ending_) return finish();
    reading_ = true;
    StartRead(&batch_);
  }

  void finish() {
    ended_ = true;
    Finish(grpc::Status::OK);
  }

  void OnReadDone(bool ok) override {
    {
      const std::lock_guard<std::mutex> lock(service_.mutex_);
      reading_ = false;
      if (ended_) return;
      if (!ok) return finish();
    }
    service_.worker_.run([this] {
      result_ = answer(service_.model_, batch_, service_.accepted_, service_.max_bytes_);
      StartWrite(&result_);
    });
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard<std::mutex> lock(service_.mutex_);
    ok ? read() : finish();
  }

  void OnDone() override {
    {
      const std::lock_guard<std::mutex> lock(service_.mutex_);
      service_.streams_.erase(this);
    }
    delete this;
  }

  ModelService& service_;
  Batch batch_;
  BatchResult result_;
  bool reading_ = false, ended_ = false;
};

void ModelService::end_streams() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ending_ = true;
  for (Stream* stream : streams_) stream->end();
}

grpc::ServerUnaryReactor* ModelService::Describe(grpc::CallbackServerContext* context,
                                                 const clipper::v1::DescribeRequest*,
                                                 clipper::v1::Description* description) {
  const auto form = [](std::size_t count) { return count ? std::to_string(count) : "any"; };
  description->set_protocol(1);
  description->set_sdk("clipper-cpp 0.1.0");
  description->set_input_type(accepted_);
  description->set_max_message_bytes(max_bytes_);
  description->set_model("linear model in C++");
  description->set_input_form("numbers[" + form(model_.inputs()) + "]");
  description->set_output_form("float64[" + form(model_.outputs()) + "]");
  auto* reactor = context->DefaultReactor();
  reactor->Finish(token_.check(*context));
  return reactor;
}

grpc::ServerBidiReactor<clipper::v1::Batch, clipper::v1::BatchResult>* ModelService::Predict(
    grpc::CallbackServerContext* context) {
  class Refusal final : public grpc::ServerBidiReactor<Batch, BatchResult> {
   public:
    explicit Refusal(const grpc::Status& status) { Finish(status); }
    void OnDone() override { delete this; }
  };
  const grpc::Status status = token_.check(*context);
  if (!status.ok()) return new Refusal(status);
  return new Stream(*this);
}
