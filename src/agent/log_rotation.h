// Keeps container logs within their limit: looks at the files now and then, sooner at those that
// grow fast.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/cri.h"
#include "agent/log_files.h"

namespace skiff::agent {

class LogRotation {
  public:
    LogRotation(Cri& cri, RotationLimits limits = {}) : cri_{cri}, limits_{limits} {}
    // Container ids and paths of their logs. When to look again.
    Duration look(const std::vector<std::pair<std::string, std::string>>& logs, WallTime now);

  private:
    Cri& cri_;
    RotationLimits limits_;
    std::map<std::string, size_t> sizes_;   // by path, at the last look
    WallTime looked_{};
};

// How long a file may be left alone that has `size` of `limit` bytes and grew `grown` in `passed`.
Duration rotation_delay(size_t size, size_t limit, size_t grown, Duration passed);

}   // namespace skiff::agent
