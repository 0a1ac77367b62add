// The printers' arrays, one a file printers_<family>.cc; printers.cc looks through them.
#pragma once

#include "api/printers.h"

namespace skiff::api {

std::span<const NamedPrinter> batch_printers();
std::span<const NamedPrinter> core_printers();
std::span<const NamedPrinter> event_printers();
std::span<const NamedPrinter> networking_printers();
std::span<const NamedPrinter> node_printers();
std::span<const NamedPrinter> pod_printers();
std::span<const NamedPrinter> service_printers();
std::span<const NamedPrinter> storage_printers();
std::span<const NamedPrinter> workload_printers();

}   // namespace skiff::api
