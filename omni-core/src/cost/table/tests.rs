use proptest::prelude::*;

use super::*;
use crate::{cost::NanoUsd, llm::Usage};

fn cost(model: &str, usage: &Usage) -> NanoUsd {
    PriceTable::default().price(model).unwrap().cost(usage)
}

fn usage(input: u64, output: u64, cache_read: u64) -> Usage {
    let mut usage = Usage::new(input, output);
    usage.cache_read = cache_read;
    usage
}

#[test]
fn the_documented_example_costs_what_the_documentation_says() {
    let cost = cost("claude-3-5-haiku-20241022", &usage(140, 346, 7_589));
    assert_eq!(cost.to_string(), "$0.002103");
    assert_eq!(cost, NanoUsd(2_103_120));
}

#[test]
fn the_five_kinds_of_tokens_have_five_prices() {
    let mut usage = Usage::new(1_000_000, 1_000_000);
    usage.cache_write = 1_000_000;
    usage.cache_write_1h = 1_000_000;
    usage.cache_read = 1_000_000;
    assert_eq!(cost("claude-3-5-sonnet-20241022", &usage).as_usd(), 3.00 + 15.00 + 3.75 + 6.00 + 0.30);
    assert_eq!(cost("claude-opus-5-5", &usage).as_usd(), 4.00 + 20.00 + 5.00 + 8.00 + 0.20);
}

#[test]
fn prices_of_fractions_of_a_nano_dollar_are_exact_and_no_turn_of_theirs_is_free() {
    let cost = |rates, usage: &Usage| Price::flat(rates).cost(usage);
    // 0.0375 and 0.15 dollars for a million: 52,687.5 nano-dollars.
    let fine = Rates::in_picos(37_500, 150_000, 37_500, 37_500, 37_500);
    assert_eq!(cost(fine, &usage(994, 101, 7)), NanoUsd(52_688));
    let cheap = Rates::in_picos(400, 400, 400, 400, 400);
    assert_eq!(cost(cheap, &Usage::new(1_000_000, 1_000_000)), NanoUsd(800_000));
    assert_eq!((cost(cheap, &Usage::new(1, 0)), cost(cheap, &Usage::new(0, 0))), (NanoUsd(1), NanoUsd(0)));
    assert_eq!(Rates::new(1, 2, 3, 4, 5), Rates::in_picos(1_000, 2_000, 3_000, 4_000, 5_000));
}

#[test]
fn a_cost_that_no_number_holds_is_the_highest_there_is() {
    let all = u64::MAX;
    let mut most = usage(all, all, all);
    (most.cache_write, most.cache_write_1h) = (all, all);
    for rates in [Rates::in_picos(all, all, all, all, all), Rates::new(all, all, all, all, all)] {
        assert_eq!(Price::flat(rates).cost(&most), NanoUsd(all));
        assert_eq!(Price::flat(rates).output_within(NanoUsd(all), &Usage::new(1, 0)), Some(999));
    }
}

#[test]
fn the_whole_prompt_decides_the_band_of_haiku_5_5() {
    assert_eq!(cost("claude-haiku-5-5", &usage(100_000, 0, 0)), NanoUsd(10_000_000));
    assert_eq!(cost("claude-haiku-5-5", &usage(100_001, 0, 0)), NanoUsd(50_000_500));
    assert_eq!(cost("claude-haiku-5-5", &usage(1, 0, 100_000)), NanoUsd(500 + 5_000_000));
}

#[test]
fn dated_ids_match_their_family_and_no_other() {
    let table = PriceTable::default();
    assert_eq!(table.price("claude-sonnet-5-5-20261001"), table.price("claude-sonnet-5-5"));
    assert_eq!(table.price("gpt-6-luna-2026-09-30"), table.price("gpt-6-luna"));
    assert_eq!(table.price("claude-3-5-haiku-latest"), table.price("claude-3-5-haiku-20241022"));
    assert_ne!(table.price("claude-opus-5"), table.price("claude-opus-5-5"));
    assert_ne!(table.price("claude-opus-5-20260801"), table.price("claude-opus-5-5"));
    assert_ne!(table.price("claude-sonnet-5"), table.price("claude-sonnet-5-5"));
}

#[test]
fn an_unknown_model_has_no_price() {
    let table = PriceTable::default();
    for id in ["claude-opus-5-6", "claude-opus", "gpt-6", "llama3", "", "-20261001", "claude-opus-4-8"] {
        assert_eq!(table.price(id), None, "{id}");
    }
}

#[test]
fn a_price_of_the_operators_own_comes_before_the_built_in_one() {
    let own = Price::flat(Rates::new(1, 2, 3, 4, 5));
    let table = PriceTable::default().with_price("claude-opus-5", own).with_price("llama3", own);
    assert_eq!(table.price("claude-opus-5-20260801"), Some(own));
    assert_eq!(table.price("llama3"), Some(own));
    assert_ne!(table.price("claude-opus-5-5"), Some(own));
}

#[test]
fn aliases_stand_for_priced_models_of_the_table() {
    for (name, id) in [("haiku", "claude-haiku-5-5"), ("Sonnet", "claude-sonnet-5-5"), ("opus", "claude-opus-5-5")] {
        assert_eq!(alias(name), Some(id));
        assert!(known_models().contains(&id));
        assert!(PriceTable::default().price(id).is_some());
    }
    assert_eq!(alias("gpt"), None);
}

#[test]
fn a_retired_model_has_a_replacement_of_its_own_family() {
    assert_eq!(replacement("claude-sonnet-4-5"), Some("claude-sonnet-5-5"));
    assert_eq!(replacement("claude-3-5-haiku-20241022"), Some("claude-haiku-5-5"));
    assert_eq!(replacement("claude-instant-1.2"), Some("claude-haiku-5-5"));
    assert_eq!(replacement("gpt-4o-mini"), Some("gpt-6-luna"));
    assert_eq!(replacement("claude-opus-5-5"), None);
    assert_eq!(replacement("mistral"), None);
}

#[test]
fn what_the_original_pinned_is_retired_and_what_an_alias_stands_for_is_not() {
    for (model, newer) in [
        ("claude-3-5-sonnet-20241022", "claude-sonnet-5-5"),
        ("claude-3-5-haiku-20241022", "claude-haiku-5-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-5-5"),
    ] {
        assert_eq!(retired(model), Some(newer), "{model}");
    }
    for model in ["claude-haiku-5-5", "claude-sonnet-5-5-20261001", "claude-haiku-4-5", "gpt-6-sol", "llama3", ""] {
        assert_eq!(retired(model), None, "{model}");
    }
}

#[test]
fn a_description_follows_the_rules_of_the_provider_and_the_facts_of_the_model() {
    let opus = model_info("anthropic", "claude-opus-5-5-20261001");
    assert_eq!(
        (opus.id.as_str(), opus.context_window, opus.max_output),
        ("claude-opus-5-5-20261001", 1_000_000, Some(128_000))
    );
    assert_eq!((opus.tool_name_len, opus.max_tools, opus.cache_min_tokens), (128, None, Some(512)));

    let newer = model_info("anthropic", "claude-next-9");
    assert_eq!((newer.max_output, newer.cache_min_tokens), (None, Some(4_096)));

    let local = model_info("openai", "llama3");
    assert_eq!((local.tool_name_len, local.max_tools, local.cache_min_tokens), (64, Some(128), None));
    assert_eq!(local.price, None);

    let first = |provider| models_of(provider).remove(0).id;
    assert_eq!((first("anthropic"), first("openai")), ("claude-haiku-5-5".into(), "gpt-6-luna".into()));
}

proptest! {
    #[test]
    fn any_id_has_a_family_and_a_description(id in ".{0,40}") {
        prop_assert!(id.starts_with(family(&id)));
        prop_assert_eq!(model_info("anthropic", &id).id, id);
    }

    #[test]
    fn a_longer_turn_never_costs_less(input in 0_u64..200_000, more in 0_u64..200_000, output in 0_u64..10_000) {
        for id in known_models() {
            if let Some(price) = PriceTable::default().price(id) {
                prop_assert!(price.cost(&Usage::new(input, output)) <= price.cost(&Usage::new(input + more, output)));
            }
        }
    }
}
