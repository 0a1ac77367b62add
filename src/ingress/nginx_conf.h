// A model as nginx.conf. Pure; every text that comes from a user was held to a form before
// (settings.h), and is quoted here all the same.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ingress/listeners.h"
#include "ingress/model.h"

namespace skiff::ingress {

struct ConfOptions {
    std::string folder;          // nginx's own files
    std::string error_log;       // a path, or "stderr"
    std::string access_log;      // "" for none
    std::string user;            // of the workers; "" for that of the master
    uint16_t http_port = 80;     // 0: not
    uint16_t https_port = 443;   // 0: not
    unsigned workers = 1;
    unsigned long open_files = 1024;
    bool ipv6 = false;
};

struct Conf {
    std::string text;
    // Which ingress the lines from there on are of, in order; an empty name for nobody's.
    std::vector<std::pair<size_t, client::ObjectKey>> owners;
    client::ObjectKey owner_of(size_t line) const;   // lines count from 1
    Listening listening;
};

Conf nginx_conf(const Model& model, const ConfOptions& options);

// The folder's file with the certificate and its key, for a key of Model::certificates.
std::string certificate_path(const std::string& folder, const std::string& id);

}   // namespace skiff::ingress
