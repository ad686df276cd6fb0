"""Every measure of a window in one table: what it takes, how it scales, in which unit it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from features.measures.covariance import realised_beta, realised_correlation, realised_covariance
from features.measures.jumps import bns_jump_statistic
from features.measures.kernel import realised_kernel
from features.measures.lee_mykland import lee_mykland_maximum
from features.measures.moments import realised_kurtosis, realised_skewness
from features.measures.noise import noise_variance, pre_averaged_variance, two_scale_variance
from features.measures.quarticity import med_realised_quarticity, realised_quarticity, tripower_quarticity
from features.measures.range import garman_klass, parkinson, rogers_satchell, yang_zhang
from features.measures.truncation import med_realised_variance, min_realised_variance
from features.measures.variance import (
    bipower_variation,
    downside_semivariance,
    realised_variance,
    subsampled_variance,
    upside_semivariance,
)
from features.measures.window import FloatArray

VARIANCE = "variance over the window"
QUARTICITY = "squared variance over the window"
NUMBER = "pure number"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of a window.

    ``compute`` takes one array of shape (..., n) for ``returns``, two aligned ones for ``pair``, the logs of open,
    high, low and close for ``ohlc``, and answers shape (...). Returns that are c times as large give an answer
    c to the ``power`` times as large. At a constant price a measure of power 0 answers NaN, every other 0.
    """

    compute: Callable[..., FloatArray]
    inputs: Literal["returns", "ohlc", "pair"]
    power: Literal[0, 2, 4]
    unit: str
    formula: str
    estimates: str


MEASURES: dict[str, Measure] = {
    "realised_variance": Measure(
        realised_variance, "returns", 2, VARIANCE, "RV = Σ rᵢ²", "quadratic variation, jumps included"
    ),
    "subsampled_variance": Measure(
        subsampled_variance,
        "returns",
        2,
        VARIANCE,
        "RV⁽ᵏ⁾ = n/(n−k+1) · 1/k · Σ (rᵢ₋ₖ₊₁ + … + rᵢ)², k = 5",
        "quadratic variation, with less noise",
    ),
    "bipower_variation": Measure(
        bipower_variation, "returns", 2, VARIANCE, "BV = π/2 · Σ |rᵢ||rᵢ₋₁|", "integrated variance without jumps"
    ),
    "min_realised_variance": Measure(
        min_realised_variance,
        "returns",
        2,
        VARIANCE,
        "MinRV = π/(π−2) · n/(n−1) · Σ min(|rᵢ|, |rᵢ₋₁|)²",
        "integrated variance without jumps",
    ),
    "med_realised_variance": Measure(
        med_realised_variance,
        "returns",
        2,
        VARIANCE,
        "MedRV = π/(6−4√3+π) · n/(n−2) · Σ med(|rᵢ|, |rᵢ₋₁|, |rᵢ₋₂|)²",
        "integrated variance without jumps",
    ),
    "downside_semivariance": Measure(
        downside_semivariance, "returns", 2, VARIANCE, "RS⁻ = Σ rᵢ² 1{rᵢ < 0}", "quadratic variation of falls"
    ),
    "upside_semivariance": Measure(
        upside_semivariance, "returns", 2, VARIANCE, "RS⁺ = Σ rᵢ² 1{rᵢ > 0}", "quadratic variation of rises"
    ),
    "noise_variance": Measure(
        noise_variance,
        "returns",
        2,
        "variance of one log price",
        "ω² = −1/(n−1) · Σ rᵢrᵢ₋₁",
        "variance of the microstructure noise",
    ),
    "two_scale_variance": Measure(
        two_scale_variance,
        "returns",
        2,
        VARIANCE,
        "TSRV = n/((k−1)n̄) · (1/k · Σ (rᵢ₋ₖ₊₁ + … + rᵢ)² − n̄/n · RV), n̄ = (n−k+1)/k, k = 5",
        "quadratic variation without noise",
    ),
    "pre_averaged_variance": Measure(
        pre_averaged_variance,
        "returns",
        2,
        VARIANCE,
        "PRV = (n/((n−k+2)kψ₂) · Σ (Σⱼ g(j/k) rᵢ₊ⱼ)² − c·RV)/(1−c), c = ψ₁/(2k²ψ₂), k = ⌈√n/2⌉",
        "quadratic variation without noise",
    ),
    "realised_kernel": Measure(
        realised_kernel,
        "returns",
        2,
        VARIANCE,
        "K = γ₀ + 2 Σ k(h/(H+1)) γₕ, γₕ = Σ rᵢrᵢ₋ₕ, Parzen's k",
        "quadratic variation with little noise",
    ),
    "realised_quarticity": Measure(
        realised_quarticity, "returns", 4, QUARTICITY, "RQ = n/3 · Σ rᵢ⁴", "integrated quarticity"
    ),
    "tripower_quarticity": Measure(
        tripower_quarticity,
        "returns",
        4,
        QUARTICITY,
        "TPQ = μ₄⸝₃⁻³ · n²/(n−2) · Σ (|rᵢ||rᵢ₋₁||rᵢ₋₂|)^(4/3)",
        "integrated quarticity without jumps",
    ),
    "med_realised_quarticity": Measure(
        med_realised_quarticity,
        "returns",
        4,
        QUARTICITY,
        "MedRQ = 3π/(9π+72−52√3) · n²/(n−2) · Σ med(|rᵢ|, |rᵢ₋₁|, |rᵢ₋₂|)⁴",
        "integrated quarticity without jumps",
    ),
    "realised_skewness": Measure(
        realised_skewness, "returns", 0, NUMBER, "RSkew = √n · Σ rᵢ³ / RV^(3/2)", "asymmetry of the returns"
    ),
    "realised_kurtosis": Measure(
        realised_kurtosis, "returns", 0, NUMBER, "RKurt = n · Σ rᵢ⁴ / RV²", "weight of the extreme returns"
    ),
    "bns_jump_statistic": Measure(
        bns_jump_statistic,
        "returns",
        0,
        "standard errors",
        "z = (1 − BV/RV) / √((π²/4+π−5)/n · max(1, TPQ/BV²))",
        "whether there was a jump",
    ),
    "lee_mykland_maximum": Measure(
        lee_mykland_maximum,
        "returns",
        0,
        "Gumbel number",
        "(maxᵢ |rᵢ|/σᵢ − Cₘ)/Sₘ, σᵢ² = 1/(K−2) · Σ |rⱼ||rⱼ₋₁|",
        "whether there was a jump",
    ),
    "parkinson": Measure(
        parkinson, "ohlc", 2, VARIANCE, "PK = 1/(4 ln 2) · Σ (ln Hᵢ − ln Lᵢ)²", "variance without drift"
    ),
    "garman_klass": Measure(
        garman_klass,
        "ohlc",
        2,
        VARIANCE,
        "GK = Σ ½(ln Hᵢ − ln Lᵢ)² − (2 ln 2 − 1)(ln Cᵢ − ln Oᵢ)²",
        "variance without drift",
    ),
    "rogers_satchell": Measure(
        rogers_satchell,
        "ohlc",
        2,
        VARIANCE,
        "RS = Σ ln(Hᵢ/Oᵢ) ln(Hᵢ/Cᵢ) + ln(Lᵢ/Oᵢ) ln(Lᵢ/Cᵢ)",
        "variance with any drift",
    ),
    "yang_zhang": Measure(
        yang_zhang,
        "ohlc",
        2,
        VARIANCE,
        "YZ = n (V(ln Oᵢ/Cᵢ₋₁) + k V(ln Cᵢ/Oᵢ) + (1−k) RS/(n−1)), k = 0.34/(1.34 + n/(n−2))",
        "variance with any drift, gaps included",
    ),
    "realised_covariance": Measure(
        realised_covariance, "pair", 2, "covariance over the window", "RC = Σ rᵢsᵢ", "quadratic covariation"
    ),
    "realised_correlation": Measure(
        realised_correlation, "pair", 0, NUMBER, "ρ = Σ rᵢsᵢ / √(Σ rᵢ² Σ sᵢ²)", "correlation of the moves"
    ),
    "realised_beta": Measure(realised_beta, "pair", 0, NUMBER, "β = Σ rᵢsᵢ / Σ sᵢ²", "move of the first for one"),
}
