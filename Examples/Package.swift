// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Examples",
  dependencies: [.package(name: "Apus", path: "..")],
  targets: ["Eager", "Functional", "ModuleStyle", "KerasStyle", "GraphMode"].map {
    .executableTarget(name: $0, dependencies: [.product(name: "Apus", package: "Apus")])
  } + [
    .executableTarget(
      name: "DeviceEngine",
      dependencies: [.product(name: "Apus", package: "Apus"), .product(name: "ApusConformance", package: "Apus")])
  ],
  swiftLanguageModes: [.v6]
)
