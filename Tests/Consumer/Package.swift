// swift-tools-version: 6.2
// A package as a user would write it: ./dev test builds and runs it, so that Apus stays usable as a dependency.
import PackageDescription

let package = Package(
  name: "Consumer",
  dependencies: [.package(name: "Apus", path: "../..")],
  targets: [
    .executableTarget(name: "consumer", dependencies: [.product(name: "Apus", package: "Apus")])
  ],
  swiftLanguageModes: [.v6]
)
