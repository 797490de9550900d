# Golden numbers for workflow_assets.stats.factors.
#
#   Rscript factors.R > factors.json
#
# Debian: apt-get install r-base-core r-cran-jsonlite r-cran-car
#
# Terms judged by replicate are those of car::Anova on a multivariate linear model, with Greenhouse and Geisser's
# correction; pooled ones those of drop1 on lm with sum-to-zero contrasts. Differences of marginal means are t-tests of
# each replicate's own difference, or linear combinations of predicted cell means. With blocks, terms judged by replicate
# are the spherical tests of stats::anova.mlm on what a term adds to blocks and to all other terms, and the differences
# those of lm(y ~ block + a * b), fitted to each replicate alone. Efficiencies are ratios of vcov with and without blocks.

suppressPackageStartupMessages({
  library(jsonlite)
  library(car)
})
options(contrasts = c("contr.sum", "contr.poly"))

cases <- list()

# Rows of the grid are treatments, columns of y replicates.
add <- function(name, grid, y, pooled, call, terms, blocks = NULL) {
  cases[[length(cases) + 1]] <<- c(
    list(name = unbox(name), call = unbox(call), factors = as.list(grid), y = unname(y), pooled = unbox(pooled),
         terms = terms, tolerance = unbox(1e-9)),
    if (!is.null(blocks)) list(blocks = blocks)
  )
}

# The mean of each level (or pair of levels) as weights of the treatments, and their differences against the first.
differences <- function(grid, factors) {
  one <- function(factor) {
    kinds <- unique(grid[[factor]])
    lapply(kinds[-1], function(kind) (grid[[factor]] == kind) - (grid[[factor]] == kinds[1]))
  }
  if (length(factors) == 1) {
    lapply(one(factors), function(w) w * length(unique(grid[[factors]])) / nrow(grid))
  } else {
    levels <- prod(sapply(factors, function(f) length(unique(grid[[f]]))))
    unlist(lapply(one(factors[1]), function(a) lapply(one(factors[2]), function(b) a * b * levels / nrow(grid))),
           recursive = FALSE)
  }
}
terms_of <- function(grid) c(as.list(names(grid)), if (length(grid) > 1) combn(names(grid), 2, simplify = FALSE))

by_replicate <- function(name, grid, y) {
  frame <- as.data.frame(lapply(grid, function(level) factor(level, levels = unique(level))))
  model <- lm(t(y) ~ 1)
  design <- as.formula(paste("~", paste(names(grid), collapse = "*")))
  found <- summary(Anova(model, idata = frame, idesign = design, type = 3), multivariate = FALSE)
  tests <- unclass(found$univariate.tests)
  adjusted <- found$pval.adjustments
  terms <- lapply(terms_of(grid), function(factors) {
    key <- paste(factors, collapse = ":")
    corrected <- length(unlist(adjusted)) > 0 && key %in% rownames(adjusted) && !is.na(adjusted[key, "GG eps"])
    list(
      name = unbox(paste(factors, collapse = " × ")), f = unbox(tests[key, "F value"]),
      df = unbox(tests[key, "num Df"]), df_error = unbox(tests[key, "den Df"]),
      epsilon = unbox(if (corrected) adjusted[key, "GG eps"] else 1),
      p = unbox(if (corrected) adjusted[key, "Pr(>F[GG])"] else tests[key, "Pr(>F)"]),
      contrasts = lapply(differences(grid, factors), function(w) {
        r <- t.test(colSums(w * y))
        list(estimate = unbox(r$estimate[[1]]), low = unbox(r$conf.int[1]), high = unbox(r$conf.int[2]),
             p = unbox(r$p.value))
      })
    )
  })
  add(name, grid, y, FALSE, "summary(car::Anova(lm(t(y) ~ 1), idata, idesign = ~ a * b, type = 3), multivariate = FALSE)",
      terms)
}

pooled <- function(name, grid, y) {
  frame <- do.call(rbind, lapply(seq_len(ncol(y)), function(j) cbind(grid, replicate = j, y = y[, j])))
  for (f in names(grid)) if (is.character(grid[[f]])) frame[[f]] <- factor(frame[[f]], levels = unique(grid[[f]]))
  frame$replicate <- factor(frame$replicate)
  frame <- frame[!is.na(frame$y), ]
  right <- sprintf("(%s)^2", paste(names(grid), collapse = " + "))
  model <- lm(as.formula(paste("y ~", right, "+ replicate")), frame)
  dropped <- drop1(model, . ~ ., test = "F")
  # Predicted means of all combinations of levels, in the first replicate: it cancels.
  full <- expand.grid(lapply(grid, function(level) if (is.character(level)) unique(level) else c(-1, 1)),
                      stringsAsFactors = FALSE)
  cells <- full
  for (f in names(grid)) if (is.character(grid[[f]])) cells[[f]] <- factor(cells[[f]], levels = unique(grid[[f]]))
  cells$replicate <- factor(1, levels = levels(frame$replicate))
  x <- model.matrix(delete.response(terms(model)), cells, xlev = model$xlevels)
  terms <- lapply(terms_of(grid), function(factors) {
    key <- paste(factors, collapse = ":")
    list(
      name = unbox(paste(factors, collapse = " × ")), f = unbox(dropped[key, "F value"]), df = unbox(dropped[key, "Df"]),
      df_error = unbox(model$df.residual), epsilon = unbox(1), p = unbox(dropped[key, "Pr(>F)"]),
      contrasts = lapply(differences(full, factors), function(w) {
        row <- colSums(w * x)
        estimate <- sum(row * coef(model)); error <- sqrt(sum(row * (vcov(model) %*% row)))
        reach <- qt(0.975, model$df.residual) * error
        list(estimate = unbox(estimate), low = unbox(estimate - reach), high = unbox(estimate + reach),
             p = unbox(2 * pt(-abs(estimate / error), model$df.residual)))
      })
    )
  })
  add(name, grid, y, TRUE, sprintf('drop1(lm(y ~ %s + replicate), . ~ ., test = "F")', right), terms)
}

# The terms that blocks leave, as formulas; `lost` names the others.
kept_of <- function(grid, lost) Filter(function(term) !(paste(term, collapse = ":") %in% lost), terms_of(grid))
right_of <- function(terms) paste(c("block", sapply(terms, paste, collapse = ":")), collapse = " + ")
frame_of <- function(grid, blocks) {
  frame <- as.data.frame(lapply(grid, function(level) factor(level, levels = unique(level))))
  frame$block <- factor(blocks, levels = unique(blocks))
  frame
}
# Differences of predicted means, the levels of the other factors and the blocks weighing equally.
row_of <- function(model, grid, blocks, factors, extra = NULL) {
  full <- expand.grid(lapply(grid, unique), stringsAsFactors = FALSE)
  cells <- as.data.frame(mapply(function(level, of) factor(level, levels = unique(of)), full, grid, SIMPLIFY = FALSE))
  cells$block <- factor(blocks[1], levels = unique(blocks))
  for (name in names(extra)) cells[[name]] <- extra[[name]]
  x <- model.matrix(delete.response(terms(model)), cells, xlev = model$xlevels)
  lapply(differences(full, factors), function(w) colSums(w * x))
}
efficiency_of <- function(frame, terms, term) {
  key <- paste(term, collapse = ":")
  noise <- sin(seq_len(nrow(frame)))
  unscaled <- function(right) {
    model <- lm(as.formula(paste("noise ~", right)), frame)
    assigned <- which(attr(model.matrix(model), "assign") == match(key, labels(terms(model))))
    summary(model)$cov.unscaled[assigned, assigned, drop = FALSE]
  }
  with <- unscaled(right_of(terms))
  without <- unscaled(paste(sapply(terms, paste, collapse = ":"), collapse = " + "))
  nrow(with) / sum(diag(solve(without) %*% with))
}
# Rows of the grid are runs: a treatment in a block.
blocked <- function(name, grid, blocks, y, lost = character()) {
  frame <- frame_of(grid, blocks)
  kept <- kept_of(grid, lost)
  each <- lm(as.formula(paste("y[, 1] ~", right_of(kept))), frame)
  fits <- apply(y, 2, function(one) coef(lm(as.formula(paste("one ~", right_of(kept))), frame)))
  terms <- lapply(kept, function(factors) {
    key <- paste(factors, collapse = ":")
    columns <- model.matrix(each)
    own <- attr(columns, "assign") == match(key, labels(terms(each)))
    test <- anova(lm(t(y) ~ 1), M = columns, X = columns[, !own], idata = frame, test = "Spherical")
    df <- test[1, "num Df"]
    list(
      name = unbox(paste(factors, collapse = " × ")), f = unbox(test[1, "F"]), df = unbox(df),
      df_error = unbox(test[1, "den Df"]), p = unbox(if (df > 1) test[1, "G-G Pr"] else test[1, "Pr(>F)"]),
      efficiency = unbox(efficiency_of(frame, kept, factors)),
      contrasts = lapply(row_of(each, grid, blocks, factors), function(row) {
        r <- t.test(colSums(row * fits))
        list(estimate = unbox(r$estimate[[1]]), low = unbox(r$conf.int[1]), high = unbox(r$conf.int[2]),
             p = unbox(r$p.value))
      })
    )
  })
  add(name, grid, y, FALSE, sprintf('anova(lm(t(y) ~ 1), M = model.matrix(~ %s), X = M[, all but the term], test = "Spherical")',
                                    right_of(kept)), terms, blocks)
}
blocked_pooled <- function(name, grid, blocks, y, lost = character()) {
  frame <- do.call(rbind, lapply(seq_len(ncol(y)), function(j) cbind(frame_of(grid, blocks), replicate = j, y = y[, j])))
  frame$replicate <- factor(frame$replicate)
  frame <- frame[!is.na(frame$y), ]
  kept <- kept_of(grid, lost)
  right <- paste(right_of(kept), if (ncol(y) > 1) "+ replicate")
  model <- lm(as.formula(paste("y ~", right)), frame)
  dropped <- drop1(model, . ~ ., test = "F")
  extra <- if (ncol(y) > 1) list(replicate = factor(1, levels = levels(frame$replicate)))
  terms <- lapply(kept, function(factors) {
    key <- paste(factors, collapse = ":")
    list(
      name = unbox(paste(factors, collapse = " × ")), f = unbox(dropped[key, "F value"]), df = unbox(dropped[key, "Df"]),
      df_error = unbox(model$df.residual), epsilon = unbox(1), p = unbox(dropped[key, "Pr(>F)"]),
      contrasts = lapply(row_of(model, grid, blocks, factors, extra), function(row) {
        estimate <- sum(row * coef(model)); error <- sqrt(sum(row * (vcov(model) %*% row)))
        reach <- qt(0.975, model$df.residual) * error
        list(estimate = unbox(estimate), low = unbox(estimate - reach), high = unbox(estimate + reach),
             p = unbox(2 * pt(-abs(estimate / error), model$df.residual)))
      })
    )
  })
  add(name, grid, y, TRUE, sprintf('drop1(lm(y ~ %s), . ~ ., test = "F")', right), terms, blocks)
}

grid_of <- function(...) rev(expand.grid(rev(list(...)), stringsAsFactors = FALSE))
wave <- function(rows, columns, digits = 3) {
  i <- seq_len(rows * columns)
  round(matrix(sin(i * 1.7) + cos(i^2 / 3) + i %% 7 / 10, rows, columns), digits)
}
two <- grid_of(a = c("low", "high"), b = c("off", "on"))
three <- grid_of(a = c("0.1", "1", "10"), b = c("off", "on"))
wide <- grid_of(a = c("0.1", "1", "10"), b = c("w", "x", "y", "z"))
cube <- grid_of(a = c("0", "1"), b = c("0", "1"), c = c("0", "1"))
mixed <- grid_of(a = c("r", "s", "t"), b = c("0", "1"), c = c("k", "l", "m"))

by_replicate("two by two", two, wave(4, 8))
by_replicate("two by two, 2 replicates", two, wave(4, 2))
by_replicate("two by two, ties and zeros", two, matrix(c(0, 0, 1, 1, 0, 1, 1, 2, 0, 0, 0, 1, 1, 1, 2, 0), 4))
by_replicate("two by two, extreme effects", two, wave(4, 6) + c(0, 1e6, 0, 3e6))
by_replicate("two by two, large level", two, wave(4, 6, 5) + 1e4)
by_replicate("three by two", three, wave(6, 9))
by_replicate("three by two, unequal spreads", three, wave(6, 9) * c(1, 1, 3, 3, 10, 10))
by_replicate("three by four", wide, wave(12, 20))
by_replicate("two by two by two", cube, wave(8, 7))
by_replicate("three by two by three", mixed, wave(18, 24))

gappy <- function(y, places) { y[places] <- NA; y }
pooled("two by two", two, wave(4, 8))
pooled("two by two, 2 replicates", two, wave(4, 2))
pooled("two by two, ties and zeros", two, matrix(c(0, 0, 1, 1, 0, 1, 1, 2, 0, 0, 0, 1), 4))
pooled("two by two, missing cells", two, gappy(wave(4, 8), c(2, 7, 8, 21)))
pooled("two by two, extreme effects", two, wave(4, 6) + c(0, 1e6, 0, 3e6))
pooled("three by two, missing cells", three, gappy(wave(6, 9), c(1, 14, 30, 31, 50)))
pooled("three by four", wide, wave(12, 5))
pooled("two by two by two, missing cells", cube, gappy(wave(8, 7), c(3, 4, 20, 40)))
pooled("two by two, one combination never run", mixed[-4, ], wave(17, 6))
points <- data.frame(a = round(sin(1:10), 3), b = round(cos(3 * (1:10)), 3))
pooled("sampled", points, wave(10, 4))
pooled("sampled and levels", cbind(points, c = rep(c("r", "s"), 5)), wave(10, 4))
pooled("sampled, missing cells", points, gappy(wave(10, 4), c(1, 12, 33)))

twice <- rbind(three, three)
shift <- function(blocks, y) y + 5 * as.integer(factor(blocks))
weeks <- rep(c("mon", "tue"), each = 6)
blocked("three by two, complete blocks", twice, weeks, shift(weeks, wave(12, 8)))
blocked_pooled("three by two, complete blocks", twice, weeks, shift(weeks, wave(12, 8)))
blocked_pooled("three by two, complete blocks, 1 replicate", twice, weeks, shift(weeks, wave(12, 1)))
odd <- ifelse(rowSums(cube == "1") %% 2 == 1, "mon", "tue")
blocked("two by two by two, a × b × c confounded", cube, odd, shift(odd, wave(8, 7)))
blocked_pooled("two by two by two, a × b × c confounded", cube, odd, shift(odd, wave(8, 7)))
same <- ifelse(cube$a == cube$b, "mon", "tue")
blocked("two by two by two, a × b confounded", cube, same, shift(same, wave(8, 7)), "a:b")
blocked_pooled("two by two by two, a × b confounded", cube, same, shift(same, wave(8, 7)), "a:b")
seven <- data.frame(a = as.character(c(1, 2, 4, 2, 3, 5, 3, 4, 6, 4, 5, 7, 5, 6, 1, 6, 7, 2, 7, 1, 3)))
fano <- rep(paste0("day", 1:7), each = 3)
blocked("seven in threes, balanced", seven, fano, shift(fano, wave(21, 20)))
blocked_pooled("seven in threes, balanced", seven, fano, shift(fano, wave(21, 3)))
blocked_pooled("seven in threes, balanced, 1 replicate", seven, fano, shift(fano, wave(21, 1)))
quarters <- three[c(1, 4, 5, 2, 3, 6, 1, 3, 6, 2, 4, 5, 1, 2, 3), ]
days <- rep(c("mon", "tue", "wed", "thu", "fri"), each = 3)
blocked("three by two in threes", quarters, days, shift(days, wave(15, 9)))
blocked_pooled("three by two in threes, missing cells", quarters, days, gappy(shift(days, wave(15, 4)), c(2, 20, 41)))

cat(toJSON(list(
  origin = list(script = unbox("factors.R"), command = unbox("Rscript factors.R > factors.json"),
                R = unbox(R.version.string), jsonlite = unbox(as.character(packageVersion("jsonlite"))),
                car = unbox(as.character(packageVersion("car"))), tolerance = unbox("relative, for each expected number")),
  cases = cases), digits = NA, na = "null", pretty = FALSE))
