/// A row for each contestant, a column for each thing it did.
pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    pub fn new(title: impl Into<String>, columns: Vec<String>) -> Self {
        Self {
            title: title.into(),
            columns,
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, name: &str, cells: Vec<String>) {
        self.rows.push((name.to_owned(), cells));
    }

    pub fn print(&self) {
        println!("\n{}:\n", self.title);
        println!("| | {} |", self.columns.join(" | "));
        println!("|---|{}", "--:|".repeat(self.columns.len()));
        for (name, cells) in &self.rows {
            println!("| {name} | {} |", cells.join(" | "));
        }
    }
}

/// The median, none of nothing.
pub fn median(numbers: &[f64]) -> Option<f64> {
    percentile(numbers, 50)
}

/// What so many of a hundred are below, none of nothing.
pub fn percentile(numbers: &[f64], percent: usize) -> Option<f64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() * percent / 100).copied()
}

/// The median of what was measured, and of what it was beside the limit.
pub fn cell(samples: &[f64], ratios: &[f64]) -> String {
    let absolute = median(samples).map_or("-".to_owned(), number);
    median(ratios).map_or(absolute.clone(), |ratio| format!("{absolute} ({ratio:.2})"))
}

/// Three digits that matter, and a comma between thousands.
pub fn number(number: f64) -> String {
    match number {
        n if n < 10.0 => format!("{n:.2}"),
        n if n < 100.0 => format!("{n:.1}"),
        n => {
            let unit = 10_f64.powf(n.log10().floor() - 2.0);
            let digits = format!("{:.0}", (n / unit).round() * unit);
            let mut text = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}
