// Formats of names and values (apimachinery's validation), each returning "" or what must hold.
#pragma once

#include <string>
#include <string_view>

#include "api/schema.h"

namespace skiff::api {

std::string check_format(Format format, std::string_view value);   // the message Kubernetes gives
std::string check_dns1123_label(std::string_view value);
std::string check_dns1123_subdomain(std::string_view value);
std::string check_dns1035_label(std::string_view value);
std::string check_qualified_name(std::string_view value);
std::string check_label_value(std::string_view value);
std::string check_path_segment(std::string_view value);

}   // namespace skiff::api
