package io.calm.cli.ablate;

import java.util.Map;

/**
 * One result of a study.
 *
 * @param series what it is drawn with
 * @param name of the arm, or of the setting
 * @param x where it is drawn, where a number says it; else NaN
 * @param y what was measured
 * @param error its standard error
 * @param more further results, by name
 */
record Point(String series, String name, double x, double y, double error, Map<String, Double> more) {
}
