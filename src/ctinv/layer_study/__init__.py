"""What each layer of a denoiser leaves free, and what a generator shows instead (method §3 and §5).

For every tap Φ_l, in the order of the data flow, three things on the same region of the same scan:

- the *fibre*: certified samples of `renoise` and linear theory say how far x may vary while Φ_l(x) stays within ε_l;
- a *generator*: how far its candidates vary before and after correction. What varies more than the fibre allows is the
  generator's error and no invariance of the layer. At the control tap ``"input"`` nothing may vary: all of it is error;
- *nestedness*: what Φ_l cannot tell apart, a later layer that sees nothing else cannot either.

**One ε for all taps.** An inner tap has no unit. Everywhere ε is stated as the share ρ of the RMS of the tap's response to
the noise of the scan: ε_l = ρ·RMS_l, with RMS_l in HU the noise of the scan at the input and σ_out at the output.

**What the number of channels does.** ε is the tolerance of one output, and a tap of 64 channels measures n pixels 64 times:
its samples have an error of only ρ·√(d_eff/m) over the m outputs, a tenth of what the tier allows. So that a layer does not
look stricter for being wider, d_eff and spread are also given at the ε whose samples have an error of RMS ρ over all outputs
(``free_share_at_rms``, ``spread_at_rms_hu``), and what the fibre *allows* is the wider of certified samples and that law at
the tier's limit.

Public: `study_layers`, `LayerStudy`.
"""

from __future__ import annotations

from ctinv.layer_study.study import LayerStudy, study_layers

__all__ = ["LayerStudy", "study_layers"]
