/// An sRGB colour with opacity; components from 0 to 1.
public struct Color: Sendable, Hashable {
  /// From 0 to 1.
  public var red: Double
  /// From 0 to 1.
  public var green: Double
  /// From 0 to 1.
  public var blue: Double
  /// From 0, invisible, to 1.
  public var opacity: Double

  /// A colour of its components.
  public init(red: Double, green: Double, blue: Double, opacity: Double = 1) {
    self.red = red
    self.green = green
    self.blue = blue
    self.opacity = opacity
  }

  /// A colour from its usual hexadecimal notation, `0xRRGGBB`.
  public init(hex: UInt32, opacity: Double = 1) {
    func component(_ shift: UInt32) -> Double { Double(hex >> shift & 0xFF) / 255 }
    self.init(red: component(16), green: component(8), blue: component(0), opacity: opacity)
  }

  /// The near-black that texts have by default.
  public static let ink = Color(hex: 0x1F2328)

  /// The colour on the straight line from `self` (0) to `other` (1).
  public func mixed(with other: Color, _ share: Double) -> Color {
    let t = share.isNaN ? 0 : min(max(share, 0), 1)
    return Color(
      red: red + (other.red - red) * t, green: green + (other.green - green) * t,
      blue: blue + (other.blue - blue) * t, opacity: opacity + (other.opacity - opacity) * t)
  }

  /// Relative luminance after WCAG 2.1, 0 for black to 1 for white: tells whether dark or light text is readable on it.
  public var luminance: Double {
    func linear(_ value: Double) -> Double {
      value <= 0.04045 ? value / 12.92 : power((value + 0.055) / 1.055, 2.4)
    }
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
  }
}

/// The one palette of all pictures. Blue and orange are told apart with every common kind of colour blindness.
enum Palette {
  static let ink = Color.ink
  static let muted = Color(hex: 0x6E7681)
  static let faint = Color(hex: 0xB1B8C0)
  static let grid = Color(hex: 0xE9ECEF)
  static let paper = Color(hex: 0xFFFFFF)
  static let blue = Color(hex: 0x2166AC)
  static let orange = Color(hex: 0xE0752D)
  static let red = Color(hex: 0xC4312B)
}
