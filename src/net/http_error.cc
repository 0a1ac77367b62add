#include "net/http_error.h"

#include "base/text.h"

namespace skiff::net {
namespace {

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte > 0x7e) {
            // The text may quote what the client sent: bytes that are no UTF-8 must not get out.
            append(out, "\\u00", hex(std::string_view{&c, 1}));
        } else {
            out += c;
        }
    }
    out += '"';
}

}   // namespace

Response status_response(const Error& error) {
    const int code = error.http_code ? error.http_code : http_status(error.reason);
    std::string body =
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":)";
    append_json_string(body, error.message);
    if (const auto reason = reason_text(error.reason); !reason.empty())
        append(body, R"(,"reason":")", reason, '"');
    append(body, R"(,"code":)", code, "}\n");
    Response response{.status = code};
    response.headers.add("content-type", "application/json");
    response.body.emplace_back(Bytes{body});
    return response;
}

}   // namespace skiff::net
