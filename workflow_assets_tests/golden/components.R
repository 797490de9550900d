# Golden numbers for workflow_assets.stats.components.
#
#   Rscript components.R > components.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite r-cran-lme4
#
# Balanced: mean squares of aov, components from their expectations as textbooks write them, and modified large-sample
# intervals written out from Burdick and Graybill (1992). Unbalanced: lme4::lmer, and intervals where the restricted
# deviance, here computed from the whole covariance matrix, is the 95 % quantile of chi-square above its least.

suppressPackageStartupMessages({
  library(jsonlite)
  library(lme4)
})

cases <- list()
add <- function(name, y, levels, crossed, call, components, tolerance, tolerance_of_bounds) {
  cases[[length(cases) + 1]] <<- list(
    name = unbox(name), call = unbox(call), y = y, levels = lapply(levels, as.character), crossed = unbox(crossed),
    components = lapply(components, function(one) lapply(one, unbox)), tolerance = unbox(tolerance),
    tolerance_of_bounds = unbox(tolerance_of_bounds)
  )
}
alpha <- 0.025

# The interval of sum(c * MS), with the terms of positive c before the others.
mls <- function(c, ms, df) {
  s <- abs(c) * ms
  p <- which(c > 0); q <- which(c < 0)
  f <- function(a, n, m) qf(1 - a, n, m)
  G <- 1 - 1 / f(alpha, df, Inf); H <- 1 / f(1 - alpha, df, Inf) - 1
  vl <- sum(G[p]^2 * s[p]^2) + sum(H[q]^2 * s[q]^2)
  vu <- sum(H[p]^2 * s[p]^2) + sum(G[q]^2 * s[q]^2)
  for (i in p) for (j in q) {
    F1 <- f(alpha, df[i], df[j]); F2 <- f(1 - alpha, df[i], df[j])
    vl <- vl + s[i] * s[j] * ((F1 - 1)^2 - G[i]^2 * F1^2 - H[j]^2) / F1
    vu <- vu + s[i] * s[j] * ((1 - F2)^2 - H[i]^2 * F2^2 - G[j]^2) / F2
  }
  star <- function(of) {
    total <- 0
    if (length(of) > 1) for (k in seq_along(of)[-1]) for (l in seq_len(k - 1)) {
      i <- of[l]; j <- of[k]; n <- df[i]; m <- df[j]
      total <- total + s[i] * s[j] / (length(of) - 1) *
        ((1 - 1 / f(alpha, n + m, Inf))^2 * (n + m)^2 / (n * m) - G[i]^2 * n / m - G[j]^2 * m / n)
    }
    total
  }
  vl <- vl + star(p); vu <- vu + star(q)
  c(sum(c * ms) - sqrt(max(vl, 0)), sum(c * ms) + sqrt(max(vu, 0)))
}
component <- function(source, c, ms, df) {
  estimate <- sum(c * ms); bounds <- mls(c, ms, df)
  variance <- max(estimate, 0)
  list(source = source, variance = variance, low = min(max(bounds[1], 0), variance), high = max(bounds[2], variance))
}
mean_squares <- function(formula, frame) {
  table <- summary(aov(formula, frame))[[1]]
  list(ms = table[["Mean Sq"]], df = table[["Df"]])
}

nested_two <- function(name, y, plates, wells) {
  frame <- data.frame(y = y, plate = factor(rep(seq_len(plates), each = wells)))
  t <- mean_squares(y ~ plate, frame)
  add(name, y, list(plate = frame$plate), FALSE, "aov(y ~ plate)", list(
    component("plate", c(1, -1) / wells, t$ms, t$df), component("replicate", c(0, 1), t$ms, t$df)), 1e-9, 1e-9)
}
nested_three <- function(name, y, a, b, n) {
  frame <- expand.grid(site = seq_len(n), well = seq_len(b), plate = seq_len(a))
  frame[] <- lapply(frame, factor)
  frame$y <- y
  t <- mean_squares(y ~ plate / well, frame)
  add(name, y, frame[c("plate", "well", "site")], FALSE, "aov(y ~ plate / well)", list(
    component("plate", c(1, -1, 0) / (b * n), t$ms, t$df), component("well", c(0, 1, -1) / n, t$ms, t$df),
    component("site", c(0, 0, 1), t$ms, t$df)), 1e-9, 1e-9)
}
crossed_two <- function(name, y, a, b, n) {
  frame <- expand.grid(copy = seq_len(n), split = seq_len(b), init = seq_len(a))
  frame[] <- lapply(frame, factor)
  frame$y <- y
  levels <- frame[c("init", "split")]
  if (n == 1) {
    t <- mean_squares(y ~ init + split, frame)
    add(name, y, levels, TRUE, "aov(y ~ init + split)", list(
      component("init", c(1, 0, -1) / b, t$ms, t$df), component("split", c(0, 1, -1) / a, t$ms, t$df),
      component("init × split", c(0, 0, 1), t$ms, t$df)), 1e-9, 1e-9)
  } else {
    t <- mean_squares(y ~ init * split, frame)
    add(name, y, levels, TRUE, "aov(y ~ init * split)", list(
      component("init", c(1, 0, -1, 0) / (b * n), t$ms, t$df), component("split", c(0, 1, -1, 0) / (a * n), t$ms, t$df),
      component("init × split", c(0, 0, 1, -1) / n, t$ms, t$df), component("replicate", c(0, 0, 0, 1), t$ms, t$df)),
      1e-9, 1e-9)
  }
}
crossed_three <- function(name, y, a, b, c) {
  frame <- expand.grid(order = seq_len(c), split = seq_len(b), init = seq_len(a))
  frame[] <- lapply(frame, factor)
  frame$y <- y
  t <- mean_squares(y ~ (init + split + order)^2, frame)
  add(name, y, frame[c("init", "split", "order")], TRUE, "aov(y ~ (init + split + order)^2)", list(
    component("init", c(1, 0, 0, -1, -1, 0, 1) / (b * c), t$ms, t$df),
    component("split", c(0, 1, 0, -1, 0, -1, 1) / (a * c), t$ms, t$df),
    component("order", c(0, 0, 1, 0, -1, -1, 1) / (a * b), t$ms, t$df),
    component("init × split", c(0, 0, 0, 1, 0, 0, -1) / c, t$ms, t$df),
    component("init × order", c(0, 0, 0, 0, 1, 0, -1) / b, t$ms, t$df),
    component("split × order", c(0, 0, 0, 0, 0, 1, -1) / a, t$ms, t$df),
    component("init × split × order", c(0, 0, 0, 0, 0, 0, 1), t$ms, t$df)), 1e-9, 1e-9)
}

by_lmer <- function(name, y, levels, crossed, sources, formula) {
  frame <- as.data.frame(lapply(levels, factor)); frame$y <- y
  model <- suppressMessages(lmer(as.formula(formula), frame, REML = TRUE, control = lmerControl(
    optimizer = "Nelder_Mead", optCtrl = list(maxfun = 1e5, FtolAbs = 1e-12, XtolRel = 1e-10, FtolRel = 1e-14),
    calc.derivs = FALSE)))
  random <- as.data.frame(VarCorr(model))
  keys <- c(names(getME(model, "flist")), "Residual")
  variances <- setNames(random$vcov, random$grp)
  z <- lapply(getME(model, "flist"), function(g) model.matrix(~ g - 1))
  deviance_of <- function(v) {
    if (max(v) > 1e8 * v[length(v)]) return(1e10)
    V <- diag(v[length(v)], length(y))
    for (k in seq_along(z)) V <- V + v[k] * z[[k]] %*% t(z[[k]])
    W <- chol2inv(chol(V)); one <- rep(1, length(y)); s <- sum(W); m <- sum(W %*% y) / s; r <- y - m
    as.numeric(determinant(V)$modulus) + log(s) + drop(t(r) %*% W %*% r)
  }
  best <- variances[keys]
  least <- deviance_of(best)
  above <- function(k, v) {
    others <- seq_along(best)[-k]
    held <- function(l) { w <- best; w[k] <- v; w[others] <- exp(l); deviance_of(w) }
    start <- log(pmax(best[others], 1e-4 * sum(best)))
    value <- if (length(others) == 1) optimize(held, start + c(-6, 6), tol = 1e-9)$objective
             else optim(start, held, control = list(reltol = 1e-14, maxit = 2000))$value
    value - least - qchisq(0.95, 1)
  }
  bounds <- lapply(seq_along(best), function(k) {
    tiny <- 1e-7 * sum(best)
    low <- if (best[k] > 10 * tiny && above(k, tiny) > 0)
      exp(uniroot(function(l) above(k, exp(l)), log(c(tiny, best[k])), tol = 1e-9)$root) else 0
    top <- max(best[k], 0.01 * sum(best))
    while (above(k, top) < 0) top <- 2 * top
    high <- exp(uniroot(function(l) above(k, exp(l)), log(c(max(best[k], tiny), top)), tol = 1e-9)$root)
    c(low, high)
  })
  components <- lapply(seq_along(best), function(k) list(
    source = sources[[keys[k]]], variance = best[[k]], low = bounds[[k]][1], high = bounds[[k]][2]))
  order_of <- match(unlist(sources), sapply(components, function(one) one$source))
  add(name, y, levels, crossed, sprintf("lme4::lmer(%s)", formula), components[order_of], 1e-4, 2e-3)
}

wave <- function(n, digits = 3) { i <- seq_len(n); round(sin(i * 1.7) + cos(i^2 / 3) + i %% 7 / 10, digits) }
by <- function(effects, each) rep(effects, each = each)

nested_two("wells in plates", wave(24) / 3 + by(c(0.3, 2.1, -1, 0.9, 1.5, -0.4), 4), 6, 4)
nested_two("two plates of two wells", c(1.2, 1.5, 3.1, 2.2), 2, 2)
nested_two("plates alike: negative", c(1, 5, 9, 2, 5, 8, 1, 4, 9), 3, 3)
nested_two("ties and zeros", c(0, 0, 1, 1, 1, 2, 0, 0, 0, 2, 2, 1), 4, 3)
nested_two("a large level", wave(15, 5) + 1e4 + by(c(0, 1, 2, 1, 4), 3), 5, 3)
nested_two("plates far apart", wave(12) + by(c(0, 1e6, 3e6), 4), 3, 4)
nested_three("sites in wells in plates", wave(60) / 4 + by(c(0.1, 1.4, -2, 0.7, 1.9), 12) + by(wave(20), 3), 5, 4, 3)
nested_three("wells alike", wave(24) + by(c(1, 3, 2), 8), 3, 4, 2)
crossed_two("initialisations and splits", wave(35) / 5 + by(wave(5), 7) + rep(2 * wave(7), 5), 5, 7, 1)
crossed_two("two and two", c(1, 2.5, 1.9, 3.2), 2, 2, 1)
crossed_two("initialisations alike", wave(20) / 3 + rep(c(0, 1, 3, 0.5), 5), 5, 4, 1)
crossed_two("two values each", wave(48) / 4 + by(wave(24), 2) / 2 + by(wave(4), 12), 4, 6, 2)
crossed_three("three sources", wave(60) / 3 + by(wave(3), 20) + rep(by(wave(4), 5), 3) + rep(wave(5), 12), 3, 4, 5)

ragged <- c(4, 2, 5, 3, 6, 3, 4)
plates <- rep(seq_along(ragged), ragged)
by_lmer("plates of unequal size", wave(27) / 2 + c(0.4, 2, -1, 0.1, 1.3, 3, -2)[plates], list(plate = plates), FALSE,
        list(plate = "plate", Residual = "replicate"), "y ~ 1 + (1 | plate)")
sizes <- c(3, 2, 4, 1, 3, 2, 2, 3, 4, 2, 3, 2)
wells <- rep(1:12, sizes); outer <- c(1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5)[wells]
by_lmer("sites in wells in plates, ragged", wave(31) / 4 + c(0, 2, -1, 1, 3)[outer] + wave(12)[wells] / 2,
        list(plate = outer, well = wells), FALSE,
        list(plate = "plate", `well:plate` = "well", Residual = "replicate"), "y ~ 1 + (1 | plate) + (1 | well:plate)")
grid <- expand.grid(split = 1:8, init = 1:6)[-c(3, 11, 20, 21, 40), ]
by_lmer("initialisations and splits, gaps", wave(43) / 3 + wave(6)[grid$init] + 1.5 * wave(8)[grid$split],
        list(init = grid$init, split = grid$split), TRUE,
        list(init = "init", split = "split", Residual = "init × split"), "y ~ 1 + (1 | init) + (1 | split)")

cat(toJSON(list(
  origin = list(script = unbox("components.R"), command = unbox("Rscript components.R > components.json"),
                R = unbox(R.version.string), jsonlite = unbox(as.character(packageVersion("jsonlite"))),
                lme4 = unbox(as.character(packageVersion("lme4"))), tolerance = unbox("relative, for variances and bounds")),
  cases = cases), digits = NA, pretty = FALSE))
