import Apus
import ApusInterop

/// A tensor as a C program holds one.
final class Held {
  let tensor: Tensor
  init(_ tensor: Tensor) { self.tensor = tensor }
}

func hold(_ tensor: Tensor) -> UnsafeMutableRawPointer { Unmanaged.passRetained(Held(tensor)).toOpaque() }
func tensor(_ handle: UnsafeMutableRawPointer) -> Tensor {
  Unmanaged<Held>.fromOpaque(handle).takeUnretainedValue().tensor
}

/// Writes what went wrong, as much as there is room for, and gives NULL.
func report(_ error: any Error, _ message: UnsafeMutablePointer<CChar>, _ capacity: Int) -> UnsafeMutableRawPointer? {
  write("\(error)", message, capacity)
  return nil
}

func write(_ text: String, _ target: UnsafeMutablePointer<CChar>, _ capacity: Int) {
  let bytes = text.utf8.prefix(capacity - 1)
  for (i, byte) in bytes.enumerated() { target[i] = CChar(bitPattern: byte) }
  target[bytes.count] = 0
}

/// The tensor of what a capsule held; NULL and a message when it is refused. Consumed in both cases.
@_cdecl("judge_consume")
public func consume(
  _ managed: UnsafeMutableRawPointer, _ isVersioned: Bool, _ message: UnsafeMutablePointer<CChar>, _ capacity: Int
) -> UnsafeMutableRawPointer? {
  do {
    return hold(
      isVersioned
        ? try DLPack.tensor(consuming: managed.assumingMemoryBound(to: DLPack.Managed.Pointee.self))
        : try DLPack.tensor(consuming: managed.assumingMemoryBound(to: DLPack.UnversionedManaged.Pointee.self)))
  } catch {
    return report(error, message, capacity)
  }
}

/// What a capsule is to hold.
@_cdecl("judge_lend")
public func lend(
  _ handle: UnsafeMutableRawPointer, _ isVersioned: Bool, _ copy: Bool, _ message: UnsafeMutablePointer<CChar>,
  _ capacity: Int
) -> UnsafeMutableRawPointer? {
  do {
    return isVersioned
      ? UnsafeMutableRawPointer(try DLPack.managed(tensor(handle), copy: copy))
      : UnsafeMutableRawPointer(try DLPack.unversionedManaged(tensor(handle), copy: copy))
  } catch {
    return report(error, message, capacity)
  }
}

@_cdecl("judge_free")
public func free(_ handle: UnsafeMutableRawPointer) { Unmanaged<Held>.fromOpaque(handle).release() }

@_cdecl("judge_address")
public func address(_ handle: UnsafeMutableRawPointer) -> UInt {
  (try? tensor(handle).storage.plain()).map { UInt(bitPattern: $0) } ?? 0
}

/// Dtype and shape, `float32[2, 3]`.
@_cdecl("judge_type")
public func type(_ handle: UnsafeMutableRawPointer, _ text: UnsafeMutablePointer<CChar>, _ capacity: Int) {
  write("\(tensor(handle).type)", text, capacity)
}

@_cdecl("judge_stride")
public func stride(_ handle: UnsafeMutableRawPointer, _ axis: Int) -> Int { tensor(handle).storage.strides[axis] }

/// A view: the axes in the opposite order, and every other index of the last.
@_cdecl("judge_view")
public func view(_ handle: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
  let x = tensor(handle)
  let turned = x.permuted(Array((0..<x.rank).reversed()))
  return hold(turned[[.ellipsis, .every(2)]])
}

/// The sum with itself, computed.
@_cdecl("judge_doubled")
public func doubled(_ handle: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
  let x = tensor(handle)
  return hold(x + x)
}

/// The tensor with its first element changed to 1: the original must stay.
@_cdecl("judge_changed")
public func changed(_ handle: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
  var x = tensor(handle)
  x[[TensorIndex](repeating: .at(0), count: x.rank)] = Tensor(1)
  return hold(x)
}
