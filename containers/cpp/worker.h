// The model's own thread: it does what it is handed, one after the other. gRPC's threads are few, and
// have pings to answer while a batch takes its time.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <utility>

class Worker {
 public:
  Worker() : thread_([this] { work(); }) {}

  ~Worker() {
    run(nullptr);
    thread_.join();
  }

  // Returns at once; nothing at all ends the thread.
  void run(std::function<void()> task) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push(std::move(task));
    }
    handed_.notify_one();
  }

 private:
  void work() {
    while (const auto task = next()) task();
  }

  std::function<void()> next() {
    std::unique_lock<std::mutex> lock(mutex_);
    handed_.wait(lock, [this] { return !tasks_.empty(); });
    auto task = std::move(tasks_.front());
    tasks_.pop();
    return task;
  }

  std::mutex mutex_;
  std::condition_variable handed_;
  std::queue<std::function<void()>> tasks_;
  std::thread thread_;  // the last: it uses the others
};
