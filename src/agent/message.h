// Encodes and decodes structs as protobuf messages by a table of their fields. A message names its
// fields once, for both ways:
//
//     template <>
//     struct Fields<KeyValue> {
//         static void visit(auto& m, auto&& field) { field(1, m.key); field(2, m.value); }
//     };
//
// Zero values are left out, as proto3 has it; unknown fields are skipped. std::optional of a number
// or enum is one of the wrapper messages {1: value} (Int64Value, PodSandboxStateValue, …); an
// optional message is written when it is there, a plain one when anything is in it. Heavy on the
// compiler: include it in few translation units.
#pragma once

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "codec/protobuf.h"

namespace skiff::agent {

template <class Message>
struct Fields;

template <class T>
concept ProtoNumber = std::integral<T> || std::is_enum_v<T>;

class MessageEncoder {
  public:
    explicit MessageEncoder(std::string& out) : writer_{out} {}

    void operator()(uint32_t number, const std::string& value) {
        if (!value.empty()) writer_.text(number, value);
    }
    template <ProtoNumber T>
    void operator()(uint32_t number, T value) {
        if (value != T{}) writer_.int64(number, static_cast<int64_t>(value));
    }
    template <ProtoNumber T>
    void operator()(uint32_t number, const std::vector<T>& values) {
        if (values.empty()) return;
        writer_.message(number, [&] {
            for (const T value : values) writer_.varint(static_cast<uint64_t>(value));
        });
    }
    void operator()(uint32_t number, const std::vector<std::string>& values) {
        for (const auto& value : values) writer_.text(number, value);
    }
    void operator()(uint32_t number, const std::map<std::string, std::string>& entries) {
        for (const auto& [key, value] : entries) {
            writer_.message(number, [&] {
                writer_.text(1, key);
                writer_.text(2, value);
            });
        }
    }
    template <ProtoNumber T>
    void operator()(uint32_t number, const std::optional<T>& value) {
        if (value) writer_.message(number, [&] { (*this)(1, *value); });
    }
    template <class T>
    void operator()(uint32_t number, const std::optional<T>& message) {
        if (message) nested(number, *message);
    }
    template <class T>
    void operator()(uint32_t number, const std::vector<T>& messages) {
        for (const auto& message : messages) nested(number, message);
    }
    template <class T>
    requires std::is_class_v<T>
    void operator()(uint32_t number, const T& message) {
        const size_t before = writer_.out().size();
        const size_t mark = writer_.begin(number);
        Fields<T>::visit(message, *this);
        if (writer_.out().size() == mark) return writer_.out().resize(before);
        writer_.end(mark);
    }

  private:
    template <class T>
    void nested(uint32_t number, const T& message) {
        writer_.message(number, [&] { Fields<T>::visit(message, *this); });
    }

    codec::ProtoWriter writer_;
};

// Reads the field that `reader` stands on into the member of the same number, if there is one.
class MessageDecoder {
  public:
    explicit MessageDecoder(codec::ProtoReader& reader) : reader_{reader} {}

    template <class T>
    void operator()(uint32_t number, T& member) {
        if (number == reader_.number()) read(member);
    }

    template <class T>
    static Result<T> decoded(std::string_view bytes) {
        T message;
        codec::ProtoReader reader{bytes};
        fill(reader, message);
        TRY_OK(reader.finish());
        return message;
    }

  private:
    template <class T>
    static void fill(codec::ProtoReader& reader, T& message) {
        MessageDecoder decoder{reader};
        while (reader.next()) Fields<T>::visit(message, decoder);
    }
    // A failure inside a nested message fails the one around it.
    template <class T>
    void read_message(T& message) {
        auto nested = reader_.message();
        fill(nested, message);
        if (nested.failed()) reader_.fail_at("a nested message is malformed");
    }
    template <ProtoNumber T>
    void read(T& value) {
        value = static_cast<T>(reader_.uint64());
    }
    void read(std::string& value) { value = reader_.text(); }
    void read(std::vector<std::string>& values) { values.emplace_back(reader_.text()); }
    template <ProtoNumber T>
    void read(std::vector<T>& values) {
        reader_.each_varint([&](uint64_t value) { values.push_back(static_cast<T>(value)); });
    }
    void read(std::map<std::string, std::string>& entries) {
        std::string key, value;
        auto entry = reader_.message();
        while (entry.next()) {
            if (entry.number() == 1) key = entry.text();
            if (entry.number() == 2) value = entry.text();
        }
        if (entry.failed()) reader_.fail_at("a map's entry is malformed");
        entries.insert_or_assign(std::move(key), std::move(value));
    }
    template <ProtoNumber T>
    void read(std::optional<T>& value) {
        value.emplace();
        auto wrapper = reader_.message();
        while (wrapper.next())
            if (wrapper.number() == 1) value = static_cast<T>(wrapper.uint64());
        if (wrapper.failed()) reader_.fail_at("a wrapped number is malformed");
    }
    template <class T>
    void read(std::optional<T>& message) {
        read_message(message ? *message : message.emplace());
    }
    template <class T>
    void read(std::vector<T>& messages) {
        read_message(messages.emplace_back());
    }
    template <class T>
    requires std::is_class_v<T>
    void read(T& message) { read_message(message); }

    codec::ProtoReader& reader_;
};

template <class T>
std::string encoded(const T& message) {
    std::string out;
    MessageEncoder encoder{out};
    Fields<T>::visit(message, encoder);
    return out;
}

template <class T>
Result<T> decoded(std::string_view bytes) {
    return MessageDecoder::decoded<T>(bytes);
}

}   // namespace skiff::agent
