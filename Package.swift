// swift-tools-version: 6.2
import PackageDescription

/// A C target of this package. C is for leaf kernels and for shims around system libraries only.
func c(_ name: String, links: [String] = [], dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .target(
    name: name, dependencies: dependencies, exclude: exclude,
    linkerSettings: links.map { .linkedLibrary($0) })
}

let package = Package(
  name: "Apus",
  products: [
    .library(name: "Apus", targets: ["Apus"]),
    .library(name: "ApusConformance", targets: ["ApusConformance"]),
    .library(name: "ApusInterop", targets: ["ApusInterop"]),
    .executable(name: "apus", targets: ["ApusCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // Leaf C: memory and thread context, vector kernels, shims around system libraries, built-in data.
    c("CApus"),
    c("COpenMP", links: ["dl"], dependencies: ["CApus"]),
    c("CKernels", links: ["m"], dependencies: ["COpenMP"]),
    c("COneDNN", links: ["dl"], dependencies: ["CApus", "COpenMP"]),
    c("CBLAS", links: ["dl"], dependencies: ["CApus", "COpenMP"]),
    c("CPNG", links: ["png"]),
    c("CZlib", links: ["z"]),
    c("CRows"),
    c("CCairo", links: ["dl"]),
    c("CDLPack"),
    c("CDigits", exclude: ["optdigits.bin", "README.md"]),

    .target(name: "ApusCore", dependencies: ["CApus"]),
    .target(name: "ApusCPU", dependencies: ["ApusCore", "CApus", "CKernels", "COneDNN", "CBLAS"]),
    .target(name: "ApusFiles", dependencies: ["ApusCore", "CApus"]),
    .target(name: "ApusData", dependencies: ["ApusCore", "ApusFiles", "CPNG", "CZlib", "CRows", "CDigits"]),
    .target(name: "ApusNN", dependencies: ["ApusCore", "CApus"]),
    .target(name: "ApusFormats", dependencies: ["ApusCore", "ApusFiles", "ApusNN"]),
    .target(name: "ApusTrain", dependencies: ["ApusCore", "ApusFiles", "ApusNN", "ApusData", "ApusFormats"]),
    .target(name: "ApusWatch", dependencies: ["ApusCore", "ApusFiles", "CCairo"]),
    .target(
      name: "Apus",
      dependencies: ["ApusCore", "ApusCPU", "ApusNN", "ApusData", "ApusTrain", "ApusFormats", "ApusWatch"]),
    .executableTarget(
      name: "ApusCommand",
      dependencies: ["Apus", "ApusFiles", "CApus", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .target(name: "ApusConformance", dependencies: ["ApusCore"]),
    .target(name: "ApusInterop", dependencies: ["ApusCore", "CDLPack"]),

    .target(name: "TestSupport", dependencies: ["ApusCore"], path: "Tests/TestSupport"),
    .testTarget(name: "ApusCoreTests", dependencies: ["ApusCPU", "ApusConformance", "ApusCore", "ApusFormats"]),
    .testTarget(
      name: "ApusCPUTests", dependencies: ["ApusConformance", "ApusCore", "ApusCPU", "CApus", "CBLAS", "COneDNN"]),
    .testTarget(name: "ApusInteropTests", dependencies: ["ApusCPU", "ApusCore", "ApusInterop", "CDLPack"]),
    .testTarget(name: "ApusDataTests", dependencies: ["ApusCore", "ApusData", "TestSupport"]),
    .testTarget(name: "ApusNNTests", dependencies: ["ApusCPU", "ApusCore", "ApusFormats", "ApusNN", "TestSupport"]),
    .testTarget(
      name: "ApusFormatsTests", dependencies: ["ApusCore", "ApusFiles", "ApusFormats", "ApusNN", "TestSupport"]),
    .testTarget(
      name: "ApusTrainTests",
      dependencies: [
        "ApusCPU", "ApusCore", "ApusData", "ApusFiles", "ApusFormats", "ApusNN", "ApusTrain", "TestSupport",
      ]),
    .testTarget(name: "ApusCommandTests", dependencies: ["Apus", "ApusCommand", "TestSupport"]),
    .testTarget(name: "ApusWatchTests", dependencies: ["ApusCore", "ApusData", "ApusWatch"]),
  ],
  swiftLanguageModes: [.v6]
)
