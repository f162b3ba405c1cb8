/// `import Apus`: what one needs to write, train and run models.
@_exported import ApusCPU
@_exported import ApusCore
@_exported import ApusData
@_exported import ApusFormats
@_exported import ApusNN
@_exported import ApusTrain
@_exported import ApusWatch
