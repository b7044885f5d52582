"""How a structure is imaged: engines that make noise-free ADF-STEM images, and the detector's noise."""
