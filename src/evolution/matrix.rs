//! As much of linear algebra as a search needs: symmetric matrices of a few dozen rows.

use serde::{Deserialize, Serialize};

/// A symmetric matrix, its rows down to the diagonal one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Symmetric(Vec<f64>);

/// The lower triangle L with L·Lᵀ = the matrix.
#[derive(Clone, Debug)]
pub(super) struct Triangle {
    rows: usize,
    cells: Vec<f64>,
}

const fn place(row: usize, column: usize) -> usize {
    let (row, column) = if row < column { (column, row) } else { (row, column) };
    row * (row + 1) / 2 + column
}

impl Symmetric {
    pub(super) fn identity(rows: usize) -> Self {
        let mut matrix = Self::zero(rows);
        (0..rows).for_each(|row| matrix.0[place(row, row)] = 1.0);
        matrix
    }

    pub(super) fn zero(rows: usize) -> Self {
        Self(vec![0.0; rows * (rows + 1) / 2])
    }

    /// Whether it has so many rows, all of numbers; what was read may be anything.
    pub(super) fn is_sound(&self, rows: usize) -> bool {
        self.0.len() == rows * (rows + 1) / 2 && self.0.iter().all(|cell| cell.is_finite())
    }

    pub(super) fn scale(&mut self, factor: f64) {
        self.0.iter_mut().for_each(|cell| *cell *= factor);
    }

    /// Adds `weight`·v·vᵀ.
    pub(super) fn add_square(&mut self, weight: f64, vector: &[f64]) {
        for (row, left) in vector.iter().enumerate() {
            for (column, right) in vector[..=row].iter().enumerate() {
                self.0[place(row, column)] += weight * left * right;
            }
        }
    }

    /// Adds a share of the mean of the diagonal to all of it, so that it can be divided by.
    pub(super) fn add_ridge(&mut self, rows: usize, share: f64) {
        let mean = (0..rows).map(|row| self.at(row, row)).sum::<f64>() / rows as f64;
        (0..rows).for_each(|row| self.0[place(row, row)] += share * mean + f64::MIN_POSITIVE);
    }

    pub(super) fn at(&self, row: usize, column: usize) -> f64 {
        self.0[place(row, column)]
    }

    /// Cholesky's decomposition. Where rounding has made it no positive matrix, a row is all but left out.
    pub(super) fn triangle(&self, rows: usize) -> Triangle {
        let mut cells = self.0.clone();
        for row in 0..rows {
            for column in 0..=row {
                let products = (0..column)
                    .map(|before| cells[place(row, before)] * cells[place(column, before)]);
                let rest = cells[place(row, column)] - products.sum::<f64>();
                cells[place(row, column)] = if row == column {
                    rest.max(self.at(row, row) * 1e-14).max(f64::MIN_POSITIVE).sqrt()
                } else {
                    rest / cells[place(column, column)]
                };
            }
        }
        Triangle { rows, cells }
    }
}

impl Triangle {
    /// L·v.
    pub(super) fn times(&self, vector: &[f64]) -> Vec<f64> {
        let row = |row: usize| {
            (0..=row).map(|column| self.cells[place(row, column)] * vector[column]).sum()
        };
        (0..self.rows).map(row).collect()
    }

    /// The x with L·Lᵀ·x = v.
    pub(super) fn solve(&self, vector: &[f64]) -> Vec<f64> {
        let mut x = vector.to_vec();
        for row in 0..self.rows {
            let known: f64 =
                (0..row).map(|column| self.cells[place(row, column)] * x[column]).sum();
            x[row] = (x[row] - known) / self.cells[place(row, row)];
        }
        for row in (0..self.rows).rev() {
            let known: f64 =
                (row + 1..self.rows).map(|below| self.cells[place(below, row)] * x[below]).sum();
            x[row] = (x[row] - known) / self.cells[place(row, row)];
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_multiplied_is_divided_again() {
        let mut matrix = Symmetric::identity(3);
        matrix.add_square(2.0, &[1.0, -2.0, 0.5]);
        matrix.add_square(0.5, &[0.0, 3.0, 1.0]);
        let x = [0.3, -1.0, 2.0];
        let product: Vec<f64> = (0..3)
            .map(|row| (0..3).map(|column| matrix.at(row, column) * x[column]).sum())
            .collect();
        let solved = matrix.triangle(3).solve(&product);
        assert!(
            solved.iter().zip(x).all(|(left, right)| (left - right).abs() < 1e-12),
            "{solved:?}"
        );
    }

    #[test]
    fn a_triangle_times_itself_is_the_matrix() {
        let mut matrix = Symmetric::identity(2);
        matrix.add_square(1.0, &[1.0, 2.0]);
        let columns = [[1.0, 0.0], [0.0, 1.0]].map(|unit| matrix.triangle(2).times(&unit));
        let product: f64 = columns.iter().map(|column| column[0] * column[1]).sum();
        assert!((product - 2.0).abs() < 1e-12);
    }
}
