# Golden numbers for workflow_assets.stats.powers.
#
#   Rscript powers.R > powers.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite r-cran-pwr
#
# Every case states the R call that made it, the plan, what is asked of it and the relative tolerance. Where no package
# offers a power, it is computed here once more, independently: equivalence and Welch's test by R's adaptive integrate()
# or a plain sum where ours sums over panels of nodes, tests of shares by R's own tests, table by table.

suppressPackageStartupMessages({
  library(jsonlite)
  library(pwr)
})

cases <- list()
add <- function(plan, method, arguments, call, expected, tolerance = 1e-9) {
  cases[[length(cases) + 1]] <<- list(
    plan = lapply(plan, function(v) if (length(v) == 1) unbox(v) else v), method = unbox(method),
    arguments = lapply(arguments, function(v) if (length(v) == 1) unbox(v) else v), call = unbox(call),
    expected = unbox(expected), tolerance = unbox(tolerance)
  )
}
r_name <- function(alternative) if (alternative == "two-sided") "two.sided" else alternative

# ------------------------------------------------------------------------------------------------- packages' numbers

for (case in list(c(2, 1.5), c(3, 0.8), c(5, 0.5), c(12, 0.7), c(30, 0.1), c(200, 0.2), c(5, 3), c(40, -0.3))) {
  n <- case[1]; d <- case[2]
  for (alternative in c("greater", "less", "two-sided")) for (alpha in c(0.05, 0.001)) {
    add(list(test = "paired_t", effect = d * 3, sd = 3, alternative = alternative, alpha = alpha), "power", list(n = n),
        sprintf('pwr::pwr.t.test(n = %g, d = %g, sig.level = %g, type = "paired", alternative = "%s")', n, d, alpha,
                r_name(alternative)),
        pwr.t.test(n = n, d = d, sig.level = alpha, type = "paired", alternative = r_name(alternative))$power)
    add(list(test = "student_t", effect = d, sd = 1, alternative = alternative, alpha = alpha), "power", list(n = n),
        sprintf('pwr::pwr.t.test(n = %g, d = %g, sig.level = %g, type = "two.sample", alternative = "%s")', n, d, alpha,
                r_name(alternative)),
        pwr.t.test(n = n, d = d, sig.level = alpha, type = "two.sample", alternative = r_name(alternative))$power)
  }
}
for (sizes in list(c(2, 3), c(5, 20), c(30, 4))) for (alternative in c("greater", "two-sided")) {
  add(list(test = "student_t", effect = 0.9, sd = 1, alternative = alternative), "power", list(n = sizes),
      sprintf('pwr::pwr.t2n.test(%g, %g, d = 0.9, alternative = "%s")', sizes[1], sizes[2], r_name(alternative)),
      pwr.t2n.test(sizes[1], sizes[2], d = 0.9, alternative = r_name(alternative))$power)
}
for (n in c(3, 25)) {
  add(list(test = "student_t", effect = 1, sd = 2, alternative = "two-sided"), "power", list(n = n),
      sprintf("power.t.test(n = %g, delta = 1, sd = 2, strict = TRUE)", n),
      power.t.test(n = n, delta = 1, sd = 2, strict = TRUE)$power)
}
for (d in c(2.5, 1, 0.5, 0.2, 0.05)) for (type in c("paired", "two.sample")) for (side in c("greater", "two-sided")) {
  n <- ceiling(pwr.t.test(d = d, power = 0.9, type = type, alternative = r_name(side))$n - 1e-6)
  test <- if (type == "paired") "paired_t" else "student_t"
  add(list(test = test, effect = d, sd = 1, alternative = side), "replicates_needed", list(power = 0.9),
      sprintf('ceiling(pwr::pwr.t.test(d = %g, power = 0.9, type = "%s", alternative = "%s")$n)', d, type, r_name(side)),
      n)
}

# ----------------------------------------------------------------------------------------- margins and re-splits: pt

t_power <- function(shift, error, df, alpha) pt(qt(alpha, df, lower = FALSE), df, shift / error, lower = FALSE)
for (n in c(2, 6, 25)) for (margin in c(0.4, -0.4)) for (effect in c(0.5, 0, -0.2)) {
  se <- 1.3 / sqrt(n)
  add(list(test = "paired_t", effect = effect, sd = 1.3, margin = margin), "power", list(n = n),
      "pt(qt(alpha, n - 1, lower = FALSE), n - 1, (effect - margin) / (sd / sqrt(n)), lower = FALSE)",
      t_power(effect - margin, se, n - 1, 0.05))
  add(list(test = "paired_t", effect = effect, sd = 1.3, margin = margin, alternative = "less"), "power", list(n = n),
      "pt(qt(alpha, n - 1, lower = FALSE), n - 1, (-effect - margin) / (sd / sqrt(n)), lower = FALSE)",
      t_power(-effect - margin, se, n - 1, 0.05))
  if (margin > 0) add(
    list(test = "paired_t", effect = effect, sd = 1.3, margin = margin, alternative = "two-sided"), "power", list(n = n),
    "the sum of both, at alpha / 2", t_power(effect - margin, se, n - 1, 0.025) + t_power(-effect - margin, se, n - 1, 0.025))
}
for (f in c(0.1, 0.3)) for (n in c(2, 10, 100)) {
  se <- 0.02 * sqrt(1 / n + f / (1 - f))
  add(list(test = "corrected_resampled_t", effect = 0.03, sd = 0.02, test_fraction = f), "power", list(n = n),
      "pt(qt(alpha, n - 1, lower = FALSE), n - 1, effect / (sd * sqrt(1/n + f/(1-f))), lower = FALSE)",
      t_power(0.03, se, n - 1, 0.05))
}
for (n in c(3, 20)) for (target in c(0.5, 0.8, 0.99)) {
  root <- uniroot(function(d) t_power(d, 2 / sqrt(n), n - 1, 0.05) - target, c(0, 60), tol = 1e-14)$root
  add(list(test = "paired_t", sd = 2), "detectable_effect", list(n = n, power = target), "uniroot of the power - target",
      root)
  add(list(test = "paired_t", sd = 2, alternative = "less", margin = 0.5), "detectable_effect",
      list(n = n, power = target), "-(uniroot of the power - target) - margin", -root - 0.5)
}

# ------------------------------------------------------------------------------- equivalence: integrate over the SD

# Density of S = sqrt(chi² / df).
density <- function(s, df) 2 * df * s * dchisq(df * s^2, df)
slices <- function(f, lower, upper, ends) {
  ends <- sort(unique(pmin(pmax(c(lower, ends, upper), lower), upper)))
  sum(mapply(function(a, b) integrate(f, a, b, rel.tol = 1e-12, abs.tol = 0, subdivisions = 5000)$value,
             head(ends, -1), tail(ends, -1)))
}
tost_given <- function(effect, margin, error, df, q) {
  end <- min(margin / error / q, sqrt(qchisq(1e-25, df, lower = FALSE) / df))
  slices(function(s) {
    (pnorm((margin - effect) / error - q * s) - pnorm(-(margin + effect) / error + q * s)) * density(s, df)
  }, 0, end, c(seq(0, 1, 0.1) * end, (margin - abs(effect)) / error / q))
}
tost_power <- function(effect, margin, error, df, alpha) {
  tost_given(effect, margin, error, df, qt(alpha, df, lower = FALSE))
}
for (n in c(2, 4, 12, 60)) for (effect in c(0, 0.2, -0.3, 0.6)) for (margin in c(0.5, 1.5)) {
  add(list(test = "paired_t", effect = effect, sd = 0.8, margin = margin, alternative = "equivalent"), "power",
      list(n = n), "integrate((pnorm((m - d)/se - q s) - pnorm(-(m + d)/se + q s)) * density of s = sqrt(chi²/df))",
      tost_power(effect, margin, 0.8 / sqrt(n), n - 1, 0.05))
  add(list(test = "student_t", effect = effect, sd = 0.8, margin = margin, alternative = "equivalent", alpha = 0.01),
      "power", list(n = n), "the same with 2 n - 2 degrees of freedom and se = sd sqrt(2/n)",
      tost_power(effect, margin, 0.8 * sqrt(2 / n), 2 * n - 2, 0.01))
}
for (effect in c(0, 0.1)) {
  n <- 2
  while (tost_power(effect, 0.3, 1 / sqrt(n), n - 1, 0.05) < 0.8) n <- n + 1
  add(list(test = "paired_t", effect = effect, sd = 1, margin = 0.3, alternative = "equivalent"), "replicates_needed",
      list(power = 0.8), "the smallest n, counted up", n)
}

# ---------------------------------------------------------------------- Welch: sum over the ratio of variances

# Given the share b that x has of the sum of both chi-squares, the sum is independent, and t a noncentral t.
welch_power <- function(shift, sds, sizes, alpha) {
  v <- sds^2 / sizes
  f <- sizes - 1
  given <- function(angle) {
    b <- sin(angle)^2
    parts <- cbind(v[1] * b / f[1], v[2] * (1 - b) / f[2])
    nu <- rowSums(parts)^2 / (parts[, 1]^2 / f[1] + parts[, 2]^2 / f[2])
    q <- qt(alpha, nu, lower = FALSE) * sqrt(rowSums(parts) * sum(f) / sum(v))
    log_density <- log(2) + (f[1] - 1) * log(sin(angle)) + (f[2] - 1) * log(cos(angle)) - lbeta(f[1] / 2, f[2] / 2)
    pt(q, sum(f), shift / sqrt(sum(v)), lower = FALSE) * exp(log_density)
  }
  # The tanh-sinh rule: integrate() takes the last digits of pt for a rough function and gives up.
  u <- seq(-3.2, 3.2, 0.01)
  angle <- pi / 2 / (1 + exp(-pi * sinh(u)))
  sum(given(angle) * pi^2 / 2 * cosh(u) / 4 / cosh(pi / 2 * sinh(u))^2) * 0.01
}
for (sizes in list(c(2, 2), c(3, 8), c(10, 20), c(50, 50))) for (sds in list(c(1, 1), c(1, 3), c(4, 0.5))) {
  for (shift in c(0.5, 2)) {
    add(list(test = "welch_t", effect = shift, sd = sds), "power", list(n = sizes),
        "sum over b of pt(q(b), n1 + n2 - 2, ncp, lower = FALSE) * dbeta(b, (n1 - 1)/2, (n2 - 1)/2)",
        welch_power(shift, sds, sizes, 0.05))
    add(list(test = "welch_t", effect = shift, sd = sds, alternative = "two-sided", margin = 0.1), "power",
        list(n = sizes), "the sum of both sides, at alpha / 2",
        welch_power(shift - 0.1, sds, sizes, 0.025) + welch_power(-shift - 0.1, sds, sizes, 0.025))
  }
}

# Equivalence: given b, both sides of the claim are P(q S - below < Z < above - q S), S = sqrt(chi² / df) of the sum.
welch_tost_power <- function(effect, margin, sds, sizes, alpha) {
  v <- sds^2 / sizes
  f <- sizes - 1
  error <- sqrt(sum(v))
  given <- function(angle) {
    b <- sin(angle)^2
    parts <- c(v[1] * b / f[1], v[2] * (1 - b) / f[2])
    nu <- sum(parts)^2 / sum(parts^2 / f)
    tost_given(effect, margin, error, sum(f), qt(alpha, nu, lower = FALSE) * sqrt(sum(parts) * sum(f) / sum(v)))
  }
  log_density <- function(angle) {
    log(2) + (f[1] - 1) * log(sin(angle)) + (f[2] - 1) * log(cos(angle)) - lbeta(f[1] / 2, f[2] / 2)
  }
  u <- seq(-3.2, 3.2, 0.02)
  angle <- pi / 2 / (1 + exp(-pi * sinh(u)))
  weight <- exp(log_density(angle)) * pi^2 / 2 * cosh(u) / 4 / cosh(pi / 2 * sinh(u))^2 * 0.02
  kept <- weight > 1e-18
  stopifnot(abs(sum(weight) - 1) < 1e-12)
  sum(sapply(angle[kept], given) * weight[kept])
}
for (sizes in list(c(2, 2), c(3, 8), c(10, 20), c(50, 50))) for (sds in list(c(1, 1), c(1, 3), c(4, 0.5))) {
  for (claim in list(c(0, 1.5), c(0.7, 2), c(-0.4, 3))) {
    add(list(test = "welch_t", effect = claim[1], sd = sds, margin = claim[2], alternative = "equivalent"), "power",
        list(n = sizes),
        "sum over b of integrate((pnorm(above - q(b) s) - pnorm(q(b) s - below)) * density of s) * density of b",
        welch_tost_power(claim[1], claim[2], sds, sizes, 0.05), 1e-8)
  }
}

# ------------------------------------------------------------------------------- shares: R's tests, result by result

at_most <- function(p, alpha) p <= alpha * (1 + 1e-9)
fisher_power <- function(p, q, n, m, alpha, side) {
  total <- 0
  for (a in 0:n) for (b in 0:m) {
    found <- fisher.test(matrix(c(a, n - a, b, m - b), 2), alternative = side)$p.value
    if (at_most(found, alpha)) total <- total + dbinom(a, n, p) * dbinom(b, m, q)
  }
  total
}
for (case in list(c(0.9, 0.3, 5, 5), c(0.8, 0.4, 12, 9), c(0.5, 0.5, 8, 8), c(1, 0, 3, 3), c(0.2, 0.7, 10, 10),
                  c(0.05, 0, 20, 20))) {
  p <- case[1]; q <- case[2]; n <- case[3]; m <- case[4]
  for (side in c("greater", "less")) add(
    list(test = "fisher_exact", shares = c(p, q), alternative = side), "power", list(n = c(n, m)),
    sprintf('sum of dbinom * dbinom where fisher.test(..., alternative = "%s")$p.value <= 0.05', side),
    fisher_power(p, q, n, m, 0.05, side), 1e-8)
  add(list(test = "fisher_exact", shares = c(p, q), alternative = "two-sided"), "power", list(n = c(n, m)),
      "the sum of both sides, at 0.025",
      fisher_power(p, q, n, m, 0.025, "greater") + fisher_power(p, q, n, m, 0.025, "less"), 1e-8)
}
binomial_power <- function(p, p0, n, alpha, side) {
  x <- 0:n
  found <- sapply(x, function(k) binom.test(k, n, p0, alternative = side)$p.value)
  sum(dbinom(x, n, p)[at_most(found, alpha)])
}
discordance_power <- function(won, lost, n, alpha, side) {
  total <- 0
  for (m in 1:n) total <- total + dbinom(m, n, won + lost) * binomial_power(won / (won + lost), 0.5, m, alpha, side)
  total
}
for (case in list(c(0.3, 0.1, 5), c(0.3, 0.1, 30), c(0.1, 0.4, 25), c(0.2, 0.2, 20), c(0.6, 0, 8))) {
  for (test in c("mcnemar", "sign_test")) for (side in c("greater", "less")) add(
    list(test = test, shares = case[1:2], alternative = side), "power", list(n = case[3]),
    sprintf('sum over m of dbinom(m, n, won + lost) * P(binom.test(., m, 0.5, alternative = "%s")$p.value <= 0.05)', side),
    discordance_power(case[1], case[2], case[3], 0.05, side))
  add(list(test = "mcnemar", shares = case[1:2], alternative = "two-sided"), "power", list(n = case[3]),
      "the sum of both sides, at 0.025",
      discordance_power(case[1], case[2], case[3], 0.025, "greater") +
        discordance_power(case[1], case[2], case[3], 0.025, "less"))
}
for (case in list(c(0.8, 0.5, 5), c(0.8, 0.5, 20), c(0.1, 0.3, 40), c(0.95, 0.9, 100), c(1, 0.5, 4))) {
  for (side in c("greater", "less")) add(
    list(test = "binomial", shares = case[1:2], alternative = side), "power", list(n = case[3]),
    sprintf('sum of dbinom where binom.test(., n, p0, alternative = "%s")$p.value <= 0.05', side),
    binomial_power(case[1], case[2], case[3], 0.05, side))
}
settled <- function(power_of, target) {
  powers <- sapply(2:120, power_of)
  max(which(powers < target)) + 2
}
add(list(test = "mcnemar", shares = c(0.35, 0.1)), "replicates_needed", list(power = 0.8),
    "one more than the last n, of 2 to 120, that has too little power",
    settled(function(n) discordance_power(0.35, 0.1, n, 0.05, "greater"), 0.8))
add(list(test = "binomial", shares = c(0.75, 0.5)), "replicates_needed", list(power = 0.8),
    "one more than the last n, of 2 to 120, that has too little power",
    settled(function(n) binomial_power(0.75, 0.5, n, 0.05, "greater"), 0.8))

json <- function(value) as.character(toJSON(value, digits = I(15)))
origin <- list(
  script = unbox("powers.R"), command = unbox("Rscript powers.R > powers.json"), R = unbox(R.version.string),
  jsonlite = unbox(as.character(packageVersion("jsonlite"))), pwr = unbox(as.character(packageVersion("pwr"))),
  tolerance = unbox("relative")
)
cat(sprintf('{\n  "origin": %s,\n  "cases": [\n%s\n  ]\n}\n', json(origin),
            paste(sprintf("    %s", sapply(cases, json)), collapse = ",\n")))
