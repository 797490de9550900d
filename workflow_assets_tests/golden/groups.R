# Golden numbers for several treatments at once: workflow_assets.stats.omnibus and workflow_assets.stats.posthoc.
#
#   Rscript groups.R > groups.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite r-cran-multcomp r-cran-car
#
# Every case states the R call that made it, its inputs and the tolerances of the comparison. R's ptukey is wrong in the
# third to seventh digit for few degrees of freedom and qtukey stops at 1e-4, and multcomp draws what it reports; so
# the distributions of the studentized range and of Dunnett's statistic are integrated here once more, by another rule on
# another axis than ours, and the packages' own numbers stand beside with the tolerance that they reach.

suppressPackageStartupMessages({
  library(jsonlite)
  library(multcomp)
  library(car)
})

wave <- function(n, pace, shift, spread) round(shift + spread * sin(pace * (1:n)) + spread * cos(3 * (1:n)), 4)

# Independent groups. The first treatment is the control.
independent <- list(
  plain = list(base = c(5.1, 4.9, 6.2, 5.7, 5.5), wide = c(4.8, 4.1, 5.9, 5.0, 5.2), deep = c(6.6, 7.1, 6.9, 6.2, 7.4)),
  unequal = list(base = c(2.31, 1.84, 3.02, 2.77), b = c(1.12, 1.95, 0.87, 1.43, 1.61, 2.08, 1.29, 0.66, 1.74),
                 c = c(3.5, 2.9), d = wave(20, 1, 2.5, 0.6)),
  ties = list(base = c(1, 2, 2, 3, 3, 3), b = c(2, 3, 3, 4, 4), c = c(3, 3, 3, 4, 5, 5, 5)),
  zeros = list(base = c(0, 0, 0, 1, 0), b = c(0, 0, 2, 0, 0), c = c(0, 3, 0, 4, 1)),
  pairs_only = list(base = c(1.0, 1.4), b = c(2.2, 1.9), c = c(3.1, 3.3)),
  two = list(base = c(5.1, 4.9, 6.2, 5.7), b = c(4.1, 4.6, 4.4)),
  extreme = list(base = wave(8, 1, 0, 1), b = wave(8, 2, 40, 1), c = wave(8, 5, -25, 1), d = wave(8, 7, 0.2, 1)),
  spreads = list(base = wave(12, 1, 10, 0.1), b = wave(7, 2, 11, 4), c = wave(15, 5, 9, 1)),
  huge = list(base = wave(6, 1, 3, 1) * 1e200, b = wave(6, 2, 4, 1) * 1e200, c = wave(6, 5, 5, 1) * 1e200),
  offset = list(base = 1e6 + wave(6, 1, 3, 1), b = 1e6 + wave(6, 2, 4, 1), c = 1e6 + wave(6, 5, 5, 1)),
  many = lapply(setNames(1:8, paste0("t", 1:8)), function(i) wave(5 + i %% 3, i / 2, i / 8, 1)),
  one_value = list(base = c(1.0, 1.5, 1.2), b = 2.5, c = c(2.0, 2.2))
)
# Aligned treatments: the i-th values belong to the same block.
blocks <- list(
  plain = list(base = c(5.1, 4.9, 6.2, 5.7, 5.5), wide = c(4.8, 4.1, 5.9, 5.0, 5.2), deep = c(6.6, 7.1, 6.9, 6.2, 7.4)),
  ties = list(base = c(1, 2, 2, 3, 3, 3), b = c(2, 2, 3, 4, 3, 3), c = c(2, 3, 3, 4, 5, 3), d = c(1, 2, 3, 4, 4, 3)),
  zeros = list(base = c(0, 0, 0, 1, 0), b = c(0, 0, 2, 0, 0), c = c(0, 3, 0, 4, 1)),
  two_blocks = list(base = c(1.0, 1.4), b = c(2.2, 1.9), c = c(3.1, 3.3)),
  two = list(base = c(5.1, 4.9, 6.2, 5.7), b = c(4.1, 4.6, 4.4, 5.2)),
  extreme = list(base = wave(8, 1, 0, 1), b = wave(8, 2, 40, 1), c = wave(8, 5, -25, 1), d = wave(8, 7, 0.2, 1)),
  levels = lapply(setNames(1:4, c("base", "b", "c", "d")), function(i) wave(15, i, i / 4, 0.5) + 3 * sin(1:15)),
  huge = list(base = wave(6, 1, 3, 1) * 1e200, b = wave(6, 2, 4, 1) * 1e200, c = wave(6, 5, 5, 1) * 1e200),
  passed = list(base = c(1, 1, 0, 0, 1, 0, 1, 0, 0, 1), b = c(1, 1, 1, 0, 1, 1, 1, 0, 1, 1),
                c = c(0, 1, 0, 0, 1, 0, 0, 0, 0, 1), d = c(1, 0, 1, 0, 1, 1, 1, 1, 1, 1)),
  many = lapply(setNames(1:9, paste0("t", 1:9)), function(i) wave(7, i / 2, i / 8, 1))
)

long <- function(arms) data.frame(
  value = unlist(arms, use.names = FALSE),
  treatment = factor(rep(names(arms), lengths(arms)), levels = names(arms)),
  block = factor(unlist(lapply(arms, seq_along), use.names = FALSE))
)

cases <- list()
add <- function(test, design, data, call, expected, arguments = list(), relative = 1e-9, absolute = 0) {
  cases[[length(cases) + 1]] <<- list(
    test = unbox(test), design = unbox(design), data = unbox(data), call = unbox(call),
    arguments = lapply(arguments, unbox), expected = expected, relative = unbox(relative), absolute = unbox(absolute)
  )
}
test_of <- function(statistic, df, p, ...) {
  c(list(statistic = unbox(unname(statistic)), df = unname(df), p = unbox(unname(p))), lapply(list(...), unbox))
}

# --------------------------------------------------------------------------------------------------------- omnibus

for (name in names(independent)) {
  arms <- independent[[name]]; d <- long(arms)
  # aov and oneway.test square the values: what is huge is scaled for them.
  if (name == "huge") d$value <- d$value / 1e200
  table <- summary(aov(value ~ treatment, d))[[1]]
  squares <- table[["Sum Sq"]]
  p <- pf(table[["F value"]][1], table$Df[1], table$Df[2], lower.tail = FALSE)
  add("anova", "independent", name, "summary(aov(value ~ treatment))",
      test_of(table[["F value"]][1], table$Df, p, eta_squared = squares[1] / sum(squares),
              omega_squared = (squares[1] - table$Df[1] * table[["Mean Sq"]][2]) / (sum(squares) + table[["Mean Sq"]][2])),
      relative = if (name == "offset") 1e-8 else 1e-9)
  if (name != "one_value") {
    r <- oneway.test(value ~ treatment, d)
    p <- pf(r$statistic, r$parameter[1], r$parameter[2], lower.tail = FALSE)
    add("welch_anova", "independent", name, "oneway.test(value ~ treatment)", test_of(r$statistic, r$parameter, p),
        relative = if (name == "offset") 1e-8 else 1e-9)
  }
  r <- kruskal.test(value ~ treatment, d)
  add("kruskal_wallis", "independent", name, "kruskal.test(value ~ treatment)",
      test_of(r$statistic, r$parameter, r$p.value, epsilon_squared = unname(r$statistic) / (nrow(d) - 1)))
}

for (name in names(blocks)) {
  arms <- blocks[[name]]; d <- long(arms)
  if (name == "huge") d$value <- d$value / 1e200
  wide <- matrix(d$value, ncol = length(arms)); k <- ncol(wide); b <- nrow(wide)
  r <- friedman.test(wide)
  chi2 <- unname(r$statistic)
  f <- (b - 1) * chi2 / (b * (k - 1) - chi2)
  add("friedman", "blocks", name, "friedman.test(table)", c(
    test_of(chi2, r$parameter, r$p.value, kendalls_w = chi2 / (b * (k - 1))),
    if (chi2 < b * (k - 1) - 1e-9)
      list(iman_davenport = unbox(pf(f, k - 1, (b - 1) * (k - 1), lower.tail = FALSE)))
  ))
  if (name == "passed") {
    q <- k * (k - 1) * sum((colSums(wide) - sum(wide) / k)^2) / sum(rowSums(wide) * (k - rowSums(wide)))
    add("cochran_q", "blocks", name, "Cochran (1950), pchisq", test_of(q, k - 1, pchisq(q, k - 1, lower.tail = FALSE)))
  }
  table <- summary(aov(value ~ treatment + Error(block / treatment), d))[["Error: block:treatment"]][[1]]
  statistic <- table[["F value"]][1]
  partial <- table[["Sum Sq"]][1] / sum(table[["Sum Sq"]])
  # Contrasts of treatments, orthonormal: their covariance says how far from spherical the differences are.
  contrasts_of <- qr.Q(qr(cbind(1, contr.helmert(k))))[, -1, drop = FALSE]
  S <- t(contrasts_of) %*% cov(wide) %*% contrasts_of
  gg <- sum(diag(S))^2 / ((k - 1) * sum(S^2))
  tail_of <- function(share) pf(statistic, share * table$Df[1], share * table$Df[2], lower.tail = FALSE)
  add("repeated_measures_anova", "blocks", name, "aov(value ~ treatment + Error(block / treatment)); own epsilon",
      test_of(statistic, gg * table$Df, tail_of(gg), greenhouse_geisser_epsilon = gg, partial_eta_squared = partial,
              uncorrected = tail_of(1)))
  if (b > k && k > 2) {
    within <- data.frame(treatment = factor(names(arms), levels = names(arms)))
    fitted <- lm(wide ~ 1)
    r <- suppressWarnings(summary(Anova(fitted, idata = within, idesign = ~treatment, type = 3), multivariate = FALSE))
    adjusted <- r$pval.adjustments
    add("repeated_measures_anova", "blocks", name,
        "summary(car::Anova(lm(table ~ 1), idata, idesign = ~treatment), multivariate = FALSE)",
        list(p = unbox(adjusted[1, "Pr(>F[GG])"]), greenhouse_geisser_epsilon = unbox(adjusted[1, "GG eps"]),
             huynh_feldt = unbox(adjusted[1, "Pr(>F[HF])"])), relative = 1e-8)
  }
}

# --------------------------------------------------------------------------------- ranges, integrated once more

# Gauss-Legendre by panels; the nodes after Golub and Welsch (1969).
beta <- (1:19) / sqrt(4 * (1:19)^2 - 1)
jacobi <- matrix(0, 20, 20); jacobi[cbind(1:19, 2:20)] <- beta; jacobi[cbind(2:20, 1:19)] <- beta
legendre <- eigen(jacobi, symmetric = TRUE)
panels <- function(edges) {
  from <- head(edges, -1); half <- diff(edges) / 2
  list(x = as.vector(outer(legendre$values + 1, half) + rep(from, each = 20)),
       w = as.vector(outer(2 * legendre$vectors[1, ]^2, half)))
}
# `inner` gives the tail for each s, an estimate of a standard deviation of 1 with df degrees of freedom.
over_error <- function(inner, df) {
  if (is.infinite(df)) return(inner(1))
  top <- 1 + 12 / sqrt(df)
  s <- panels(c(0, 0.01, 0.05, 0.2, 0.5, 0.8, 1, (1 + top) / 2, top))
  density <- exp(log(2) + df / 2 * log(df / 2) - lgamma(df / 2) + (df - 1) * log(s$x) - df * s$x^2 / 2)
  sum(s$w * density * inner(s$x))
}
# The mean that is largest lies at z and all others within w below it.
range_tail <- function(q, k, df) over_error(function(s) {
  z <- panels(seq(-9, 9, 3)); w <- q * s
  at <- outer(w / 2, z$x, "+"); below <- pnorm(at - w, log.p = TRUE) - pnorm(at, log.p = TRUE)
  as.vector((k * dnorm(at) * pnorm(at)^(k - 1) * -expm1((k - 1) * log1p(-exp(below)))) %*% z$w)
}, df)
dunnett_tail <- function(d, n, base, df, two) {
  load <- sqrt(n / (n + base)); rest <- sqrt(base / (n + base))
  over_error(function(s) {
    w <- d * s; z <- panels(seq(-12, 12, 1.5))
    none <- 0
    for (i in seq_along(n)) none <- none + log1p(-pmin(
      pnorm(outer(-w, load[i] * z$x, "+") / rest[i]) + two * pnorm(outer(-w, -load[i] * z$x, "+") / rest[i]), 1))
    as.vector(-expm1(none) %*% (z$w * dnorm(z$x)))
  }, df)
}
point_of <- function(tail, level) uniroot(function(x) log(tail(x) / level), c(0.3, 40), tol = 1e-11, extendInt = "downX")$root

# -------------------------------------------------------------------------------------------------------- post-hoc

pair_of <- function(x, y, ...) c(list(x = unbox(x), y = unbox(y)), lapply(list(...), unbox))
later_first <- function(k) { p <- t(combn(k, 2)); cbind(p[, 2], p[, 1]) }
# Beyond 30 standard errors the panels miss the peak.
integrable <- function(t, df) abs(t) < 30 && df >= 2

for (design in c("independent", "blocks")) for (name in names(get(design))) {
  paired <- design == "blocks"
  arms <- get(design)[[name]]; d <- long(arms)
  if (name == "huge") { d$value <- d$value / 1e200; unit <- 1e200 } else unit <- 1
  if (paired && name == "two_blocks") next # 2 degrees of freedom: a case of its own below
  fitted <- if (paired) aov(value ~ treatment + block, d) else aov(value ~ treatment, d)
  df <- fitted$df.residual; error <- sum(residuals(fitted)^2) / df
  means <- tapply(d$value, d$treatment, mean); n <- as.numeric(table(d$treatment)); k <- length(arms)
  labels <- names(arms)
  point <- point_of(function(q) range_tail(q, k, df), 0.05)
  pairs <- apply(later_first(k), 1, function(ij) {
    difference <- unname(means[ij[1]] - means[ij[2]]); scale <- sqrt(error * sum(1 / n[ij])); t <- difference / scale
    reach <- point / sqrt(2) * scale
    pair <- pair_of(labels[ij[1]], labels[ij[2]], estimate = difference * unit, statistic = t,
                    low = (difference - reach) * unit, high = (difference + reach) * unit)
    if (integrable(t, df)) pair$p <- unbox(range_tail(sqrt(2) * abs(t), k, df))
    pair
  }, simplify = FALSE)
  add("tukey", design, name, "aov; the studentized range integrated", list(pairs = pairs), list(paired = paired),
      relative = 1e-8, absolute = 1e-12)
  r <- TukeyHSD(fitted, "treatment")$treatment
  pairs <- lapply(seq_len(nrow(r)), function(i) {
    ij <- later_first(k)[i, ]
    pair_of(labels[ij[1]], labels[ij[2]], estimate = r[i, "diff"] * unit, p = r[i, "p adj"], low = r[i, "lwr"] * unit,
            high = r[i, "upr"] * unit)
  })
  add("tukey", design, name, "TukeyHSD(aov, \"treatment\")", list(pairs = pairs), list(paired = paired),
      relative = 1e-4, absolute = if (df < 6) 1e-4 else 1e-8)

  for (side in c("two-sided", "greater", "less")) {
    two <- side == "two-sided"; direction <- if (side == "less") -1 else 1
    if (name == "many" && !two) next
    tail_of <- function(t) dunnett_tail(t, n[-1], n[1], df, two)
    point <- point_of(tail_of, 0.05)
    pairs <- lapply(2:k, function(i) {
      difference <- unname(means[i] - means[1]); scale <- sqrt(error * (1 / n[i] + 1 / n[1])); t <- difference / scale
      pair <- pair_of(labels[i], labels[1], estimate = difference * unit, statistic = t)
      if (integrable(t, df)) pair$p <- unbox(tail_of(if (two) abs(t) else direction * t))
      if (side != "less") pair$low <- unbox((difference - point * scale) * unit)
      if (side != "greater") pair$high <- unbox((difference + point * scale) * unit)
      pair
    })
    add("dunnett", design, name, "aov; Dunnett's distribution integrated", list(pairs = pairs),
        list(control = labels[1], paired = paired, alternative = side), relative = 1e-8)
    if (k == 3) {
      set.seed(1)
      r <- summary(glht(fitted, linfct = mcp(treatment = "Dunnett"), alternative = sub("-", ".", side, fixed = TRUE)),
                   test = adjusted("single-step", abseps = 1e-6, maxpts = 3e5))$test
      pairs <- lapply(2:k, function(i) pair_of(labels[i], labels[1], p = r$pvalues[i - 1]))
      add("dunnett", design, name, "summary(glht(aov, mcp(treatment = \"Dunnett\")))", list(pairs = pairs),
          list(control = labels[1], paired = paired, alternative = side), relative = 0, absolute = 1e-5)
    }
  }
  # A margin is R's rhs.
  if (name == "plain") for (side in c("greater", "less")) {
    direction <- if (side == "less") -1 else 1
    for (margin in c(0.3, -0.2)) {
      pairs <- lapply(2:k, function(i) {
        t <- (direction * unname(means[i] - means[1]) - margin) / sqrt(error * (1 / n[i] + 1 / n[1]))
        pair_of(labels[i], labels[1], statistic = direction * t, p = dunnett_tail(t, n[-1], n[1], df, FALSE))
      })
      add("dunnett", design, name, "aov; Dunnett's distribution integrated, beyond a margin", list(pairs = pairs),
          list(control = labels[1], paired = paired, alternative = side, margin = margin), relative = 1e-8)
    }
  }

  if (!paired && all(n > 1)) {
    pairs <- apply(later_first(k), 1, function(ij) {
      at <- function(i) d$value[d$treatment == labels[i]]
      r <- t.test(at(ij[1]), at(ij[2])); t <- unname(r$statistic); df <- unname(r$parameter)
      pair <- pair_of(labels[ij[1]], labels[ij[2]], statistic = t, df = df)
      if (integrable(t, df)) pair$p <- unbox(range_tail(sqrt(2) * abs(t), k, df))
      if (df >= 2) {
        reach <- point_of(function(q) range_tail(q, k, df), 0.05) / sqrt(2) * r$stderr
        difference <- mean(at(ij[1])) - mean(at(ij[2]))
        pair$low <- unbox((difference - reach) * unit); pair$high <- unbox((difference + reach) * unit)
      }
      pair
    }, simplify = FALSE)
    add("games_howell", design, name, "t.test(x, y); the studentized range integrated", list(pairs = pairs),
        relative = 1e-8)
  }
}

for (name in names(blocks)) {
  d <- long(blocks[[name]]); labels <- names(blocks[[name]]); k <- length(labels)
  wide <- matrix(d$value, ncol = k); b <- nrow(wide)
  ranks <- colMeans(t(apply(wide, 1, rank))); scale <- sqrt(k * (k + 1) / (6 * b))
  point <- point_of(function(q) range_tail(q, k, Inf), 0.05)
  pairs <- apply(later_first(k), 1, function(ij) {
    difference <- ranks[ij[1]] - ranks[ij[2]]
    pair_of(labels[ij[1]], labels[ij[2]], estimate = difference, p = range_tail(sqrt(2) * abs(difference) / scale, k, Inf),
            low = difference - point / sqrt(2) * scale, high = difference + point / sqrt(2) * scale)
  }, simplify = FALSE)
  add("nemenyi", "blocks", name, "mean ranks; the range integrated", list(pairs = pairs), relative = 1e-8, absolute = 1e-11)
  pairs <- apply(later_first(k), 1, function(ij) {
    difference <- ranks[ij[1]] - ranks[ij[2]]
    pair_of(labels[ij[1]], labels[ij[2]],
            p = ptukey(sqrt(2) * abs(difference) / scale, k, Inf, lower.tail = FALSE))
  }, simplify = FALSE)
  add("nemenyi", "blocks", name, "ptukey(sqrt(2) * abs(difference) / sqrt(k * (k + 1) / (6 * b)), k, Inf)",
      list(pairs = pairs), relative = 1e-7, absolute = 1e-10)
  z <- (ranks[-1] - ranks[1]) / scale
  p <- p.adjust(2 * pnorm(-abs(z)), "holm")
  reach <- qnorm(1 - 0.025 / (k - 1)) * scale
  pairs <- lapply(2:k, function(i) pair_of(labels[i], labels[1], statistic = z[i - 1], p = p[i - 1],
                                           low = ranks[i] - ranks[1] - reach, high = ranks[i] - ranks[1] + reach))
  add("ranks_against", "blocks", name, "p.adjust(2 * pnorm(-abs(z)), \"holm\")", list(pairs = pairs),
      list(control = labels[1]), absolute = 1e-12)
}

# One line per case, so that a changed number is a changed line.
json <- function(value) as.character(toJSON(value, digits = I(15)))
lines <- function(values) paste(sprintf("    %s", values), collapse = ",\n")
version_of <- function(package) unbox(as.character(packageVersion(package)))
origin <- list(
  script = unbox("groups.R"), command = unbox("Rscript groups.R > groups.json"), R = unbox(R.version.string),
  jsonlite = version_of("jsonlite"), multcomp = version_of("multcomp"), mvtnorm = version_of("mvtnorm"),
  car = version_of("car"), tolerance = unbox("relative or absolute, whichever allows more, for each expected number")
)
arms_of <- function(data) lines(sprintf('"%s": %s', names(data), sapply(data, json)))
cat(sprintf(
  '{\n  "origin": %s,\n  "independent": {\n%s\n  },\n  "blocks": {\n%s\n  },\n  "cases": [\n%s\n  ]\n}\n', json(origin),
  arms_of(independent), arms_of(blocks), lines(sapply(cases, json))
))
