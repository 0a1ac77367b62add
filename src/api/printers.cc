#include "api/printers.h"

#include <array>

#include "api/printers_families.h"

namespace skiff::api {
namespace {

using Printers = std::span<const NamedPrinter> (*)();

constexpr std::array<Printers, 9> families{pod_printers,      node_printers,       service_printers,
                                           event_printers,    core_printers,       storage_printers,
                                           workload_printers, networking_printers, batch_printers};

}   // namespace

Printer printer_of(std::string_view name) {
    for (const Printers family : families)
        for (const NamedPrinter& printer : family())
            if (printer.name == name) return printer.print;
    return nullptr;
}

codec::Json text_or_none(std::string_view text) {
    return codec::Json::borrowed(text.empty() ? "<none>" : text);
}

std::string age_of(std::string_view rfc3339, WallTime now) {
    const auto instant = parse_rfc3339(rfc3339);
    return instant ? human_duration(now - *instant) : "<unknown>";
}

}   // namespace skiff::api
