#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace deadpeer {

// Bytes that grow at the end. By realloc(3): what is large is remapped, not copied, and a lack of
// memory can be told from success where there are no exceptions.
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

  // So many bytes more, to be written by the caller. Null where there is no memory for them; what
  // was there before stays.
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
