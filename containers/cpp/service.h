// clipper.v1.Model: what is served, and streams of batches.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <mutex>
#include <set>

#include "clipper/v1/model.grpc.pb.h"
#include "linear.h"
#include "token.h"
#include "worker.h"

class ModelService final : public clipper::v1::Model::CallbackService {
 public:
  ModelService(const LinearModel& model, const Token& token, clipper::v1::InputType accepted,
               std::size_t max_bytes)
      : model_(model), token_(token), accepted_(accepted), max_bytes_(max_bytes) {}

  // Ends each stream as soon as no batch of it is in hand.
  void end_streams();

 private:
  using Batch = clipper::v1::Batch;
  using BatchResult = clipper::v1::BatchResult;
  class Stream;

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const clipper::v1::DescribeRequest* request,
                                     clipper::v1::Description* description) override;
  grpc::ServerBidiReactor<Batch, BatchResult>* Predict(
      grpc::CallbackServerContext* context) override;

  const LinearModel& model_;
  const Token& token_;
  const clipper::v1::InputType accepted_;
  const std::size_t max_bytes_;
  std::mutex mutex_;  // of all that follows, and of the streams
  bool ending_ = false;
  std::set<Stream*> streams_;
  Worker worker_;
};
