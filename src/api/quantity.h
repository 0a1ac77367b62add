// resource.Quantity: exact decimal numbers with SI, binary or exponent suffixes.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace skiff::api {

class Quantity {
  public:
    static Result<Quantity> parse(std::string_view text);   // Invalid, in upstream's words
    static Quantity from_value(int64_t value);
    static Quantity from_milli(int64_t milli);
    std::string canonical() const;   // as upstream would print it, suffix form kept
    int64_t value() const;           // rounded up, saturating
    int64_t milli_value() const;     // rounded up, saturating
    bool is_negative() const { return nanos_ < 0; }
    Quantity operator+(const Quantity& other) const;
    Quantity operator-(const Quantity& other) const;
    std::strong_ordering operator<=>(const Quantity& other) const {
        return nanos_ <=> other.nanos_;
    }
    bool operator==(const Quantity& other) const { return nanos_ == other.nanos_; }

  private:
    enum class Form : uint8_t { DecimalSI, BinarySI, DecimalExponent };
    __extension__ using Wide = __int128;
    Wide nanos_ = 0;
    Form form_ = Form::DecimalSI;
};

}   // namespace skiff::api
