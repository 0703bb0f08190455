//! What the kernel says of the process, taken when metrics are read.

use super::Metrics;
use super::tables::signed;
use crate::runtime::process_figures::ProcessFigures;

impl Metrics {
    /// Updates the metrics of the process. A figure that is not known keeps its value.
    pub fn take_process(&self, figures: ProcessFigures) {
        let families = &self.kernel;
        let gauges = [
            (&families.open_descriptors, figures.open_descriptors),
            (&families.max_descriptors, figures.max_descriptors),
            (&families.resident, figures.resident_bytes),
            (&families.virtual_memory, figures.virtual_bytes),
            (&families.threads, figures.threads),
        ];
        for (gauge, figure) in gauges {
            if let Some(figure) = figure {
                gauge.set(signed(figure));
            }
        }
        if let Some(started) = figures.started {
            families.started.set(started);
        }
        if let Some(seconds) = figures.cpu_seconds {
            // Two readings at once may come in the other order.
            families.cpu.inc_by((seconds - families.cpu.get()).max(0.0));
        }
    }
}
