"""The fibre engine: what f does to a region, the noise's covariance, exact correction, certificates."""
