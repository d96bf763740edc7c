#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace deadpeer {

// Bytes that grow at the end. realloc(3) remaps large blocks and does not copy them. Its failure
// can be detected without exceptions.
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  ByteBuffer& operator=(ByteBuffer&&) = delete;
  ~ByteBuffer() { free(data_); }

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

  void truncate(size_t size) { size_ = size; }

  // Appends so many bytes, which the caller writes. Returns null if there is no memory; the
  // existing bytes stay.
  uint8_t* extend(size_t more) {
    if (more > capacity_ - size_ && !grow(size_ + more)) return nullptr;
    uint8_t* added = data_ + size_;
    size_ += more;
    return added;
  }

 private:
  bool grow(size_t needed) {
    size_t capacity = capacity_ == 0 ? 64 * 1024 : capacity_;
    while (capacity < needed) capacity *= 2;
    void* data = realloc(data_, capacity);
    if (data == nullptr) return false;
    data_ = static_cast<uint8_t*>(data);
    capacity_ = capacity;
    return true;
  }

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace deadpeer
