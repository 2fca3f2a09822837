//! How many pictures one conversation may hold: a vendor refuses a request with more.

use crate::llm::{Block, Message, ResultPart};

/// Most pictures of a conversation.
const MAX_PICTURES: usize = 40;

/// Most characters of base64 of all of them together.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What is left for new pictures.
#[derive(Debug)]
pub(super) struct Room {
    pictures: usize,
    bytes: usize,
}

impl Room {
    /// The room beside the pictures that a conversation has.
    pub(super) fn beside(messages: &[Message]) -> Self {
        let mut room = Self { pictures: MAX_PICTURES, bytes: MAX_BYTES };
        for block in messages.iter().flat_map(|message| &message.blocks) {
            let Block::ToolResult { content, .. } = block else { continue };
            for part in content {
                let ResultPart::Image { data, .. } = part else { continue };
                room.pictures = room.pictures.saturating_sub(1);
                room.bytes = room.bytes.saturating_sub(data.len());
            }
        }
        room
    }

    /// The same parts; a picture without room is told in words.
    pub(super) fn fit(&mut self, parts: Vec<ResultPart>) -> Vec<ResultPart> {
        parts.into_iter().map(|part| self.fit_one(part)).collect()
    }

    fn fit_one(&mut self, part: ResultPart) -> ResultPart {
        let ResultPart::Image { mime, data } = &part else { return part };
        match (self.pictures.checked_sub(1), self.bytes.checked_sub(data.len())) {
            (Some(pictures), Some(bytes)) => {
                (self.pictures, self.bytes) = (pictures, bytes);
                part
            }
            _ => ResultPart::Text {
                text: format!("[image ({mime}) left out: the conversation holds too many pictures already]"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(bytes: usize) -> ResultPart {
        ResultPart::Image { mime: "image/png".into(), data: "A".repeat(bytes) }
    }

    fn pictures(parts: &[ResultPart]) -> usize {
        parts.iter().filter(|part| matches!(part, ResultPart::Image { .. })).count()
    }

    #[test]
    fn pictures_that_a_conversation_has_leave_less_room_for_others() {
        let mut room = Room::beside(&[]);
        let first = room.fit(vec![picture(4); MAX_PICTURES - 1]);
        assert_eq!(pictures(&first), MAX_PICTURES - 1);
        let block = Block::ToolResult { id: "1".into(), content: first, is_error: false };
        let message = Message { speaker: crate::llm::Speaker::User, blocks: vec![block] };
        let next = Room::beside(&[message]).fit(vec![picture(4), picture(4)]);
        assert!(matches!(&next[..], [ResultPart::Image { .. }, ResultPart::Text { .. }]), "{next:?}");
    }

    #[test]
    fn large_pictures_share_one_bound() {
        let mut room = Room::beside(&[]);
        let parts = room.fit(vec![picture(MAX_BYTES), picture(1)]);
        assert_eq!(pictures(&parts), 1);
    }
}
