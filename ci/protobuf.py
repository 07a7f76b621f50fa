"""As much of protocol buffers as ci/readers.py needs."""


def varints(data):
    value, shift = 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value - (1 << 64) if value >> 63 else value
            value, shift = 0, 0


def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def number_field(number, value):
    return varint(number << 3) + varint(value)


def bytes_field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """What a message has, by its number: numbers, and bytes that have a length."""
    found, at = {}, 0

    def number():
        nonlocal at
        end = at
        while data[end] > 127:
            end += 1
        [value] = varints(data[at : end + 1])
        at = end + 1
        return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            length = {1: 8, 5: 4}.get(key & 7) or number()
            value = data[at : at + length]
            at += length
        found.setdefault(key >> 3, []).append(value)
    return found
