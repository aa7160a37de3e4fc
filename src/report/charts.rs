//! Pictures as SVG. Colours are names here, and style.css gives them their hue, for light, dark and paper.

use super::{Bounds, Night, Values};
use crate::metrics::{Range, Status};
use crate::units::{self, seconds};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::error::Error;

/// Width and height in the units of the viewBox; the page scales it.
const SIZE: (u32, u32) = (480, 240);
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const FIRST: RGBColor = RGBColor(3, 3, 3);
const SECOND: RGBColor = RGBColor(4, 4, 4);
const BAND: RGBColor = RGBColor(5, 5, 5);
const BAD: RGBColor = RGBColor(6, 6, 6);
/// Parts that a parameter's range is cut into.
const BINS: usize = 24;

type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// One line of a chart: by the number of the night or round.
struct Line {
    points: Vec<(f64, f64)>,
    colour: RGBColor,
}

/// What a chart of lines shows.
struct Graph<'a> {
    lines: Vec<Line>,
    /// What is usual, by the same numbers.
    band: Vec<(f64, f64, f64)>,
    /// Points that stand out.
    bad: Vec<(f64, f64)>,
    /// First and last number, and what the axis says of one.
    x: (f64, f64, &'a dyn Fn(f64) -> String),
}

/// Draws into a text; nothing can go wrong there, and what does leaves no picture: the tables have the same numbers.
fn drawn(draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    let outcome = {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area).and_then(|()| area.present().map_err(Into::into))
    };
    if outcome.is_err() { String::new() } else { svg }
}

/// The success rate of each batch, and what was usual for it.
pub(super) fn success(nights: &[Night]) -> String {
    let rate = |night: &Night| night.figures.success_rate() * 100.0;
    let with_attempts = || numbered(nights).filter(|(_, night)| night.figures.attempts > 0);
    let graph = Graph {
        lines: vec![Line {
            points: with_attempts().map(|(at, night)| (at, rate(night))).collect(),
            colour: FIRST,
        }],
        band: band(nights, 100.0, |night| Some(night.usual?.success_rate)),
        bad: numbered(nights)
            .filter(|(_, night)| is_bad(night))
            .map(|(at, night)| (at, finite(rate(night))))
            .collect(),
        x: (0.0, last(nights), &|at| date(nights, at)),
    };
    drawn(|area| graph.draw(area, 0.0..100.0, &|rate| format!("{rate:.0} %")))
}

/// Median and 95th percentile of each batch's durations, and what was usual for the latter.
pub(super) fn durations(nights: &[Night]) -> String {
    let points = |of: fn(&Night) -> Option<f64>| {
        numbered(nights)
            .filter_map(|(at, night)| Some((at, of(night).filter(|s| *s > 0.0)?)))
            .collect::<Vec<_>>()
    };
    let graph = Graph {
        lines: vec![
            Line { points: points(|night| night.duration_p50), colour: SECOND },
            Line { points: points(|night| night.figures.duration_p95), colour: FIRST },
        ],
        band: band(nights, 1.0, |night| night.usual?.duration_p95),
        bad: Vec::new(),
        x: (0.0, last(nights), &|at| date(nights, at)),
    };
    let all = graph.values();
    let (least, greatest) = (least(&all), greatest(&all));
    let decades = 10_f64.powf(least.log10().floor())
        ..10_f64.powf(greatest.log10().ceil().max(least.log10().floor() + 1.0));
    drawn(|area| graph.draw(area, decades.log_scale(), &|value| seconds(*value)))
}

/// The fitness of a strategy's best candidate and of its source, night by night.
pub(super) fn fitness(nights: &[Night], strategy: &str) -> String {
    let points = |of: &dyn Fn(&Night) -> Option<f64>| {
        numbered(nights).filter_map(|(at, night)| Some((at, of(night)?))).collect::<Vec<_>>()
    };
    let best = points(&|night| night.best.get(strategy).copied());
    let source = points(&|night| night.batch.baselines.get(strategy).copied());
    let lines = vec![Line { points: source, colour: SECOND }, Line { points: best, colour: FIRST }];
    plain(&Graph {
        lines,
        band: Vec::new(),
        bad: Vec::new(),
        x: (0.0, last(nights), &|at| date(nights, at)),
    })
}

/// The best fitness so far, round by round.
pub(super) fn rounds(best: impl Iterator<Item = (u32, f64)>, source: Option<f64>) -> String {
    let best: Vec<_> = best.map(|(round, fitness)| (f64::from(round), fitness)).collect();
    let end = best.last().map_or(1.0, |(round, _)| *round);
    let source = source.map(|fitness| vec![(1.0, fitness), (end, fitness)]).unwrap_or_default();
    let lines = vec![Line { points: source, colour: SECOND }, Line { points: best, colour: FIRST }];
    plain(&Graph {
        lines,
        band: Vec::new(),
        bad: Vec::new(),
        x: (1.0, end, &|round| format!("{round:.0}")),
    })
}

/// How old and new values are spread; lines where bounds are that some are beyond.
pub(super) fn values(values: &Values, bounds: Bounds) -> String {
    let parts = values.parts(bounds.min, bounds.max, BINS);
    let shares = values.shares(parts);
    let highest = shares.iter().fold(0.0, |most: f64, (old, new)| most.max(*old).max(*new)) * 100.0;
    let top = highest.max(1.0);
    let width = (parts.greatest - parts.least) / parts.count as f64;
    let lines = if values.are_beyond(bounds) { vec![bounds.min, bounds.max] } else { Vec::new() };
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .margin_right(24)
            .x_label_area_size(30)
            .y_label_area_size(48)
            .build_cartesian_2d(parts.least..parts.greatest, 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 16).into_font().color(&INK))
            .x_labels(5)
            .y_labels(4)
            .x_label_formatter(&|value| units::plain(*value))
            .y_label_formatter(&|share| format!("{share:.0} %"))
            .draw()?;
        let bar = |place: usize, share: f64, from: f64, to: f64, colour: RGBColor| {
            let left = parts.least + width * place as f64;
            Rectangle::new(
                [(left + width * from, 0.0), (left + width * to, share * 100.0)],
                colour.filled(),
            )
        };
        chart.draw_series(
            shares.iter().enumerate().map(|(at, (old, _))| bar(at, *old, 0.06, 0.47, SECOND)),
        )?;
        chart.draw_series(
            shares.iter().enumerate().map(|(at, (_, new))| bar(at, *new, 0.53, 0.94, FIRST)),
        )?;
        chart.draw_series(
            lines.iter().map(|at| PathElement::new([(*at, 0.0), (*at, top)], INK.stroke_width(2))),
        )?;
        Ok(())
    })
}

fn plain(graph: &Graph<'_>) -> String {
    let all = graph.values();
    let (least, greatest) = (least(&all), greatest(&all));
    // A line that never moves is in the middle.
    let still = if greatest == 0.0 { 1.0 } else { greatest.abs() * 0.05 };
    let room = if greatest > least { (greatest - least) * 0.1 } else { still };
    let range = (least - room)..(greatest + room);
    drawn(|area| graph.draw(area, range, &|value| number(*value)))
}

impl Graph<'_> {
    fn values(&self) -> Vec<f64> {
        let of_lines = self.lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
        of_lines
            .chain(self.band.iter().flat_map(|(_, low, high)| [*low, *high]))
            .filter(|y| y.is_finite())
            .collect()
    }

    fn draw<Y>(&self, area: &Area<'_>, y: Y, label: &dyn Fn(&f64) -> String) -> Drawn
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let (from, to, name) = self.x;
        let room = ((to - from) * 0.02).max(0.5);
        let x: RangedCoordf64 = ((from - room)..(to + room)).into();
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 16).into_font().color(&INK))
            .x_labels(4)
            .y_labels(5)
            .x_label_formatter(&|at| {
                if at.fract().abs() < 1e-9 { name(*at) } else { String::new() }
            })
            .y_label_formatter(label)
            .draw()?;
        if self.band.len() > 1 {
            let upper = self.band.iter().map(|(at, _, high)| (*at, *high));
            let lower = self.band.iter().rev().map(|(at, low, _)| (*at, *low));
            let outline: Vec<_> = upper.chain(lower).collect();
            chart.draw_series([Polygon::new(outline, BAND.filled())])?;
        }
        for line in &self.lines {
            chart.draw_series(LineSeries::new(
                line.points.iter().copied(),
                line.colour.stroke_width(2),
            ))?;
            if line.points.len() <= 60 {
                chart.draw_series(
                    line.points.iter().map(|at| Circle::new(*at, 3, line.colour.filled())),
                )?;
            }
        }
        chart.draw_series(self.bad.iter().map(|at| Cross::new(*at, 6, BAD.stroke_width(3))))?;
        Ok(())
    }
}

fn numbered(nights: &[Night]) -> impl Iterator<Item = (f64, &Night)> {
    nights.iter().enumerate().map(|(at, night)| (at as f64, night))
}

fn band(nights: &[Night], scale: f64, of: fn(&Night) -> Option<Range>) -> Vec<(f64, f64, f64)> {
    let ranges = numbered(nights).filter_map(|(at, night)| Some((at, of(night)?)));
    ranges.map(|(at, range)| (at, range.lower * scale, range.upper * scale)).collect()
}

fn is_bad(night: &Night) -> bool {
    matches!(night.batch.status, Some(Status::Failed | Status::Crashed))
}

fn last(nights: &[Night]) -> f64 {
    nights.len().saturating_sub(1) as f64
}

/// `11-25` of the night with that number; nothing beside the ends.
fn date(nights: &[Night], at: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked not to be below 0"
    )]
    let place = if at < 0.0 { usize::MAX } else { at as usize };
    nights
        .get(place)
        .map_or(String::new(), |night| night.batch.started.to_string()[5..10].to_owned())
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::min).unwrap_or(1e-6)
}

fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::max).unwrap_or(1.0)
}

/// Four digits are what an axis has room for.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    match magnitude {
        _ if magnitude == 0.0 => "0".to_owned(),
        _ if !(1e-3..1e5).contains(&magnitude) => format!("{value:.1e}"),
        _ if magnitude < 1.0 => format!("{value:.4}"),
        _ if magnitude < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}
