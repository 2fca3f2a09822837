//! Sentences that order the model about.
//!
//! A description says what a tool does, and may well say how it is to be called ("You must give a
//! path"). These say something else: forget your rules, keep it from the user, read the person's keys,
//! do this before anything else. Each pattern wants the order AND its object, so that words alone are
//! nothing. The list is English, short on purpose, and held to the definitions of real servers by a
//! test: none of them may match.

use std::sync::LazyLock;

use regex::Regex;

use super::text::around;

/// The patterns, over folded text: ASCII in lower case, single spaces.
const PATTERNS: &[&str] = &[
    // Rules are to be forgotten.
    r"\b(ignore|disregard|forget|override|bypass|set aside)\b[ -~]{0,30}\b(previous|prior|earlier|preceding|above|all|any|other|your|system|safety)\b[ -~]{0,20}\b(instruction|prompt|rule|guideline|directive|guardrail|polic(y|ies)|restriction)s?\b",
    // Something is to be kept from the person.
    r"\b(do not|don't|dont|never|must not|should not|without)\b[ -~]{0,20}\b(tell|telling|mention|mentioning|inform|informing|reveal|revealing|disclose|disclosing|notify|notifying|alert|alerting|admit|say|warn|warning)\b[ -~]{0,30}\b(the|your|any) (user|human|person|operator|developer|customer)s?\b",
    r"\b(hide|conceal|keep)\b[ -~]{0,30}\b(secret |hidden )?from (the|your) (user|human|person|operator|developer)s?\b",
    // The person is said to have agreed, or is not to be asked.
    r"\b(user|human|operator|developer)s? (has|have|had) (already )?(approved|consented|authori[sz]ed|agreed|given permission)\b",
    r"\b(do not|don't|dont|never|without)\b[ -~]{0,12}\bask(ing)?\b[ -~]{0,12}\b(the |your )?(user|human|operator|person)\b[ -~]{0,12}\b(for )?(confirmation|approval|permission|consent)\b",
    // Somebody speaks as the system.
    r"<\|?/?(system|im_start|im_end|assistant|inst|instructions?|important|secret|admin|hidden)\|?>",
    r"\[/?(system|inst|admin|important instructions?)\]|<</?sys>>|(^|[.!?] ?|# ?)(system|assistant|admin) ?(prompt|message|override|instruction)s? ?:",
    r"\b(important|critical|mandatory|urgent|new|hidden|secret)[ -~]{0,10} (system|security|admin|developer) (instruction|message|directive|prompt|requirement|policy)s?\b",
    r"\b(new|your real|your true|your actual|updated) (instruction|task|goal|objective|directive)s? (is|are|:)",
    // The model is to be somebody else.
    r"\byou are now\b|\bfrom now on,? (you|always|every|any)\b|\bact as (the |an? )?(root|admin|administrator|developer mode|system|dan)\b|\b(enter|enable|activate) (developer|debug|god|jailbreak|admin) mode\b",
    // What is the person's own, in one breath with an order to fetch it or give it away.
    r"\b(read|open|cat|get|load|fetch|include|send|pass|append|attach|forward|upload|copy|post|exfiltrate|leak|provide|put)\b[ -~]{0,80}(~/\.|\.ssh\b|\bid_(rsa|ed25519|ecdsa)\b|/etc/(passwd|shadow)\b|\.aws/credentials|\.git-credentials|\.netrc\b|\bmcp\.json\b|\bkeychain\b|\bprivate keys?\b|\bseed phrase\b|\bwallet key)",
    r"\b(send|include|pass|append|attach|forward|upload|copy|post|exfiltrate|leak|provide|put|summari[sz]e)\b[ -~]{0,60}\b(system prompt|(entire|whole|full|complete|previous|prior) (conversation|chat|context|messages?)|(conversation|chat|message) history|contents? of (the|this) (conversation|chat)|all (previous|prior|other) (messages|tool (results?|outputs?|calls?)))\b",
    r"\b(reveal|repeat|print|output|show) (your|the) (system prompt|hidden instructions|initial instructions)\b",
    // Other tools are to wait for this one.
    r"\b(before|prior to|after|whenever|every time|each time|instead of)\b[ -~]{0,25}\b(using|use|calling|call|invoking|invoke|running|run|executing)\b[ -~]{0,12}\b(any|another|all|every|each|no) (other )?(tool|function)s?\b",
    r"\b(always|first|must)\b[ -~]{0,20}\b(call|invoke|run|use|execute) this (tool|function)\b[ -~]{0,20}\b(before|prior to) (any|every|all|each|the other|answering|responding|doing)\b",
    r"\b(do not|don't|never|stop) (use|using|call|calling|trust|trusting)\b[ -~]{0,15}\b(any other|other|another) (server|tool|function)s?\b",
    // A shell is fed from the net.
    r"\b(curl|wget)\b[ -~]{0,120}\| ?(sudo )?(ba|z|da)?sh\b",
];

static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let compiled = |pattern: &&str| match Regex::new(pattern) {
        Ok(regex) => Some(regex),
        // A test compiles them all.
        Err(error) => {
            tracing::error!(%error, "a pattern of the scan is left out");
            None
        }
    };
    PATTERNS.iter().filter_map(compiled).collect()
});

/// The text around the first such sentence of a folded text.
pub(super) fn find(folded: &str) -> Option<String> {
    let mut found = COMPILED.iter().filter_map(|pattern| pattern.find(folded));
    found.next().map(|found| around(folded, found.start(), found.end()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_counts() {
        assert_eq!(COMPILED.len(), PATTERNS.len());
    }
}
