import Apus

/// A network of square layers, relu(x·Wᵀ) each, whose weights `0.weight`, `1.weight` … are used in the file.
private final class Network {
  let forward: Compiled<Tensor, Tensor>

  init(_ path: String, layers: Int, size: Int, placement: SafetensorsFile.Placement) throws {
    // Of sizes to be inferred: nothing is made before the weights are there.
    let model = Sequential((0..<layers).map { _ in Linear(size, bias: false, activation: .relu) })
    try model.load(from: path, placement: placement)
    forward = compiled { (x: Tensor) in model(x) }
  }
}

/// Loads a network from a safetensors file; NULL and a message when it can't.
/// `folder`: where a private copy is mapped; NULL: the file itself is.
@_cdecl("judge_network")
public func network(
  _ path: UnsafePointer<CChar>, _ folder: UnsafePointer<CChar>?, _ layers: Int, _ size: Int,
  _ message: UnsafeMutablePointer<CChar>, _ capacity: Int
) -> UnsafeMutableRawPointer? {
  do {
    let placement = folder.map { SafetensorsFile.Placement.mappedCopy(folder: String(cString: $0)) } ?? .mapped
    let made = try Network(String(cString: path), layers: layers, size: size, placement: placement)
    return Unmanaged.passRetained(made).toOpaque()
  } catch {
    return report(error, message, capacity)
  }
}

/// What the network gives for a tensor.
@_cdecl("judge_network_run")
public func run(
  _ network: UnsafeMutableRawPointer, _ input: UnsafeMutableRawPointer, _ message: UnsafeMutablePointer<CChar>,
  _ capacity: Int
) -> UnsafeMutableRawPointer? {
  do {
    return hold(try Unmanaged<Network>.fromOpaque(network).takeUnretainedValue().forward(tensor(input)))
  } catch {
    return report(error, message, capacity)
  }
}

@_cdecl("judge_network_free")
public func freeNetwork(_ network: UnsafeMutableRawPointer) { Unmanaged<Network>.fromOpaque(network).release() }
