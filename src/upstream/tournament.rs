//! A tournament: the contestant with the smallest key is known at once, and changing one key costs a comparison for each
//! round. It knows no servers.

/// Contestants by number. One without a key does not take part.
#[derive(Debug)]
pub(super) struct Tournament<K> {
    keys: Vec<Option<K>>,
    /// The winner of each match. Match 1 is the final; the winners of matches `2n` and `2n + 1` meet in match `n`. From
    /// the number of contestants on, each "match" is a single contestant.
    winners: Vec<u32>,
}

impl<K: Copy + Ord> Tournament<K> {
    pub(super) fn new(keys: Vec<Option<K>>) -> Self {
        let mut tournament = Self { winners: vec![0; keys.len()], keys };
        for game in (1..tournament.keys.len()).rev() {
            tournament.winners[game] = tournament.play(game);
        }
        tournament
    }

    /// The contestant with the smallest key; of several, the one with the smallest number.
    pub(super) fn first(&self) -> Option<(usize, K)> {
        let first = if self.keys.len() > 1 { self.winners[1] as usize } else { 0 };
        self.keys.get(first).copied().flatten().map(|key| (first, key))
    }

    pub(super) fn key(&self, contestant: usize) -> Option<K> {
        self.keys[contestant]
    }

    pub(super) fn set(&mut self, contestant: usize, key: Option<K>) {
        self.keys[contestant] = key;
        let mut game = (contestant + self.keys.len()) / 2;
        while game > 0 {
            let before = std::mem::replace(&mut self.winners[game], 0);
            let winner = self.play(game);
            self.winners[game] = winner;
            // Where this contestant neither won nor wins, later rounds are as before.
            if before == winner && winner as usize != contestant {
                break;
            }
            game /= 2;
        }
    }

    fn play(&self, game: usize) -> u32 {
        let (left, right) = (self.winner(2 * game), self.winner(2 * game + 1));
        if self.rank(right) < self.rank(left) { right } else { left }
    }

    fn winner(&self, game: usize) -> u32 {
        match game.checked_sub(self.keys.len()) {
            Some(contestant) => contestant as u32,
            None => self.winners[game],
        }
    }

    fn rank(&self, contestant: u32) -> (bool, Option<K>, u32) {
        let key = self.keys[contestant as usize];
        (key.is_none(), key, contestant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_has_the_smallest_key(
            keys in prop::collection::vec(prop::option::of(0u8..9), 0..40),
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(0u8..9)), 0..60),
        ) {
            let mut model = keys.clone();
            let mut tournament = Tournament::new(keys);
            let first = |model: &[Option<u8>]| {
                let keys = model.iter().enumerate().filter_map(|(nth, key)| Some((key.as_ref()?, nth)));
                keys.min().map(|(&key, nth)| (nth, key))
            };
            prop_assert_eq!(tournament.first(), first(&model));
            for (at, key) in changes.into_iter().filter(|_| !model.is_empty()).collect::<Vec<_>>() {
                let at = at.index(model.len());
                model[at] = key;
                tournament.set(at, key);
                prop_assert_eq!(tournament.first(), first(&model));
            }
        }
    }
}
