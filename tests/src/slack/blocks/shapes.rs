//! The shapes of blocks and elements: their fields and the limits of each.

/// Fields of something with a type.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: &'static str,
    pub(super) fields: &'static [Field],
    /// Whether it may have fields that are not listed.
    pub(super) is_open: bool,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) is_needed: bool,
    pub(super) rule: Rule,
}

/// What a value must be; sizes are the least and the most.
#[derive(Debug)]
pub(super) enum Rule {
    Any,
    Flag,
    Number(u64, u64),
    Text(usize, usize),
    OneOf(&'static [&'static str]),
    /// A `plain_text` object of at most this many characters.
    Plain(usize),
    /// A `plain_text` or a `mrkdwn` object.
    Either(usize),
    List(usize, usize, &'static Self),
    Object(&'static Shape),
    Element(&'static [&'static str]),
    /// A block of these types; of any when there are none.
    Block(&'static [&'static str]),
}

use Rule::{Any, Block, Either, Element, Flag, List, Number, Object, OneOf, Plain, Text};

const fn need(name: &'static str, rule: Rule) -> Field {
    Field { name, is_needed: true, rule }
}

const fn may(name: &'static str, rule: Rule) -> Field {
    Field { name, is_needed: false, rule }
}

const fn shape(kind: &'static str, fields: &'static [Field]) -> Shape {
    Shape { kind, fields, is_open: false }
}

const fn open(kind: &'static str, fields: &'static [Field]) -> Shape {
    Shape { kind, fields, is_open: true }
}

pub(super) const PLAIN: Shape = shape("plain_text", &[may("emoji", Flag)]);
pub(super) const MRKDWN: Shape = shape("mrkdwn", &[may("verbatim", Flag)]);

const CONFIRM: Shape = shape(
    "confirm",
    &[
        need("title", Plain(100)),
        need("text", Either(300)),
        need("confirm", Plain(30)),
        need("deny", Plain(30)),
        may("style", OneOf(&["primary", "danger"])),
    ],
);
const OPTION: Shape = shape(
    "option",
    &[need("text", Plain(75)), need("value", Text(1, 150)), may("description", Plain(75)), may("url", Text(1, 3000))],
);
/// Of checkboxes and radio buttons, which take mrkdwn.
const RICH_OPTION: Shape =
    shape("option", &[need("text", Either(75)), need("value", Text(1, 150)), may("description", Either(75))]);
const GROUP: Shape =
    shape("option_group", &[need("label", Plain(75)), need("options", List(1, 100, &Object(&OPTION)))]);
const FEEDBACK: Shape = shape(
    "feedback_button",
    &[need("text", Plain(75)), need("value", Text(1, 2000)), may("accessibility_label", Text(0, 75))],
);
const SOURCE: Shape =
    shape("url", &[need("type", OneOf(&["url"])), need("url", Text(1, 3000)), need("text", Text(1, 256))]);

const ACTION_ID: Field = may("action_id", Text(1, 255));
const CONFIRMED: Field = may("confirm", Object(&CONFIRM));
const FOCUS: Field = may("focus_on_load", Flag);
const PLACEHOLDER: Field = may("placeholder", Plain(150));
const OPTIONS: Field = may("options", List(1, 100, &Object(&OPTION)));
const GROUPS: Field = may("option_groups", List(1, 100, &Object(&GROUP)));
const MAX_SELECTED: Field = may("max_selected_items", Number(1, 100));
const STATUS: Rule = OneOf(&["pending", "in_progress", "complete", "error"]);
const PICTURE: &[Field] = &[
    may("image_url", Text(1, 3000)),
    may("slack_file", Any),
    need("alt_text", Text(1, 2000)),
    may("title", Plain(2000)),
];

const IN_ACTIONS: &[&str] = &[
    "button",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "overflow",
    "datepicker",
    "timepicker",
    "datetimepicker",
    "checkboxes",
    "radio_buttons",
    "workflow_button",
];
const BESIDE_TEXT: &[&str] = &[
    "button",
    "image",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "overflow",
    "datepicker",
    "timepicker",
    "checkboxes",
    "radio_buttons",
    "workflow_button",
];
const IN_INPUTS: &[&str] = &[
    "plain_text_input",
    "rich_text_input",
    "email_text_input",
    "url_text_input",
    "number_input",
    "file_input",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "datepicker",
    "timepicker",
    "datetimepicker",
    "checkboxes",
    "radio_buttons",
];

pub(super) const BLOCKS: &[Shape] = &[
    shape(
        "section",
        &[
            may("text", Either(3000)),
            may("fields", List(1, 10, &Either(2000))),
            may("accessory", Element(BESIDE_TEXT)),
            may("expand", Flag),
        ],
    ),
    shape("header", &[need("text", Plain(150))]),
    shape("divider", &[]),
    shape("image", PICTURE),
    shape("actions", &[need("elements", List(1, 25, &Element(IN_ACTIONS)))]),
    shape("context", &[need("elements", List(1, 10, &Element(&["plain_text", "mrkdwn", "image"])))]),
    shape("context_actions", &[need("elements", List(1, 5, &Element(&["feedback_buttons", "icon_button"])))]),
    shape(
        "input",
        &[
            need("label", Plain(2000)),
            need("element", Element(IN_INPUTS)),
            may("hint", Plain(2000)),
            may("optional", Flag),
            may("dispatch_action", Flag),
        ],
    ),
    shape("markdown", &[need("text", Text(1, 12_000))]),
    shape("table", &[need("rows", List(1, 100, &List(1, 20, &Any))), may("column_settings", List(0, 20, &Any))]),
    shape("rich_text", &[need("elements", List(1, 1000, &Any))]),
    shape(
        "task_card",
        &[
            need("task_id", Text(1, 255)),
            need("title", Text(1, 256)),
            may("status", STATUS),
            may("details", Block(&["rich_text"])),
            may("output", Block(&["rich_text"])),
            may("sources", List(0, 100, &Object(&SOURCE))),
            may("hide_title", Flag),
            may("icon", Any),
        ],
    ),
    shape("plan", &[need("title", Text(1, 256)), may("tasks", List(0, 50, &Block(&["task_card"])))]),
    shape(
        "alert",
        &[need("text", Either(3000)), may("level", OneOf(&["default", "info", "warning", "error", "success"]))],
    ),
    shape(
        "card",
        &[
            may("title", Either(150)),
            may("subtitle", Either(150)),
            may("body", Either(200)),
            may("hero_image", Any),
            may("icon", Any),
            may("actions", List(0, 25, &Element(&["button"]))),
        ],
    ),
    shape("carousel", &[need("elements", List(1, 10, &Block(&["card"])))]),
    shape(
        "container",
        &[
            may("title", Plain(150)),
            may("rich_text_title", Block(&["rich_text"])),
            may("subtitle", Either(150)),
            need("child_blocks", List(1, 10, &Block(&[]))),
            may("width", Any),
            may("icon", Any),
            may("is_collapsible", Flag),
            may("default_collapsed", Flag),
            may("has_header_divider", Flag),
        ],
    ),
    shape(
        "data_table",
        &[
            need("caption", Text(1, 255)),
            need("rows", List(2, 201, &List(1, 20, &Any))),
            may("page_size", Number(1, 100)),
            may("row_header_column_index", Number(0, 19)),
        ],
    ),
    open("file", &[need("external_id", Text(1, 255)), need("source", Text(1, 255))]),
    open(
        "video",
        &[
            need("alt_text", Text(1, 2000)),
            need("title", Plain(200)),
            need("video_url", Text(1, 3000)),
            need("thumbnail_url", Text(1, 3000)),
        ],
    ),
    open("call", &[]),
    open("data_visualization", &[]),
];

pub(super) const ELEMENTS: &[Shape] = &[
    shape(
        "button",
        &[
            need("text", Plain(75)),
            ACTION_ID,
            may("value", Text(0, 2000)),
            may("url", Text(1, 3000)),
            may("style", OneOf(&["primary", "danger"])),
            CONFIRMED,
            may("accessibility_label", Text(0, 75)),
        ],
    ),
    shape(
        "workflow_button",
        &[
            need("text", Plain(75)),
            need("workflow", Any),
            need("action_id", Text(1, 255)),
            may("style", OneOf(&["primary", "danger"])),
            may("accessibility_label", Text(0, 75)),
        ],
    ),
    shape(
        "icon_button",
        &[
            need("text", Plain(75)),
            need("icon", Text(1, 75)),
            ACTION_ID,
            may("value", Text(0, 2000)),
            CONFIRMED,
            may("accessibility_label", Text(0, 75)),
            may("visible_to_user_ids", List(0, 100, &Text(1, 20))),
        ],
    ),
    shape(
        "feedback_buttons",
        &[ACTION_ID, need("positive_button", Object(&FEEDBACK)), need("negative_button", Object(&FEEDBACK))],
    ),
    shape(
        "static_select",
        &[ACTION_ID, OPTIONS, GROUPS, PLACEHOLDER, CONFIRMED, FOCUS, may("initial_option", Object(&OPTION))],
    ),
    shape(
        "multi_static_select",
        &[
            ACTION_ID,
            OPTIONS,
            GROUPS,
            PLACEHOLDER,
            CONFIRMED,
            FOCUS,
            MAX_SELECTED,
            may("initial_options", List(1, 100, &Object(&OPTION))),
        ],
    ),
    shape(
        "external_select",
        &[
            ACTION_ID,
            PLACEHOLDER,
            CONFIRMED,
            FOCUS,
            may("min_query_length", Number(0, 100)),
            may("initial_option", Object(&OPTION)),
        ],
    ),
    shape(
        "multi_external_select",
        &[
            ACTION_ID,
            PLACEHOLDER,
            CONFIRMED,
            FOCUS,
            MAX_SELECTED,
            may("min_query_length", Number(0, 100)),
            may("initial_options", List(1, 100, &Object(&OPTION))),
        ],
    ),
    shape("users_select", &[ACTION_ID, PLACEHOLDER, CONFIRMED, FOCUS, may("initial_user", Text(1, 20))]),
    shape(
        "multi_users_select",
        &[ACTION_ID, PLACEHOLDER, CONFIRMED, FOCUS, MAX_SELECTED, may("initial_users", List(1, 100, &Text(1, 20)))],
    ),
    shape(
        "conversations_select",
        &[
            ACTION_ID,
            PLACEHOLDER,
            CONFIRMED,
            FOCUS,
            may("initial_conversation", Text(1, 20)),
            may("default_to_current_conversation", Flag),
            may("response_url_enabled", Flag),
            may("filter", Any),
        ],
    ),
    shape(
        "multi_conversations_select",
        &[
            ACTION_ID,
            PLACEHOLDER,
            CONFIRMED,
            FOCUS,
            MAX_SELECTED,
            may("initial_conversations", List(1, 100, &Text(1, 20))),
            may("default_to_current_conversation", Flag),
            may("filter", Any),
        ],
    ),
    shape(
        "channels_select",
        &[
            ACTION_ID,
            PLACEHOLDER,
            CONFIRMED,
            FOCUS,
            may("initial_channel", Text(1, 20)),
            may("response_url_enabled", Flag),
        ],
    ),
    shape(
        "multi_channels_select",
        &[ACTION_ID, PLACEHOLDER, CONFIRMED, FOCUS, MAX_SELECTED, may("initial_channels", List(1, 100, &Text(1, 20)))],
    ),
    shape("overflow", &[ACTION_ID, need("options", List(1, 5, &Object(&OPTION))), CONFIRMED]),
    shape(
        "checkboxes",
        &[
            ACTION_ID,
            need("options", List(1, 10, &Object(&RICH_OPTION))),
            CONFIRMED,
            FOCUS,
            may("initial_options", List(1, 10, &Object(&RICH_OPTION))),
        ],
    ),
    shape(
        "radio_buttons",
        &[
            ACTION_ID,
            need("options", List(1, 10, &Object(&RICH_OPTION))),
            CONFIRMED,
            FOCUS,
            may("initial_option", Object(&RICH_OPTION)),
        ],
    ),
    shape("datepicker", &[ACTION_ID, PLACEHOLDER, CONFIRMED, FOCUS, may("initial_date", Text(10, 10))]),
    shape(
        "timepicker",
        &[ACTION_ID, PLACEHOLDER, CONFIRMED, FOCUS, may("initial_time", Text(5, 5)), may("timezone", Text(1, 100))],
    ),
    shape(
        "datetimepicker",
        &[ACTION_ID, CONFIRMED, FOCUS, may("initial_date_time", Number(1_000_000_000, 9_999_999_999))],
    ),
    shape(
        "plain_text_input",
        &[
            ACTION_ID,
            PLACEHOLDER,
            FOCUS,
            may("initial_value", Text(0, 3000)),
            may("multiline", Flag),
            may("min_length", Number(0, 3000)),
            may("max_length", Number(1, 3000)),
            may("dispatch_action_config", Any),
        ],
    ),
    shape(
        "rich_text_input",
        &[
            ACTION_ID,
            PLACEHOLDER,
            FOCUS,
            may("initial_value", Block(&["rich_text"])),
            may("dispatch_action_config", Any),
        ],
    ),
    shape(
        "email_text_input",
        &[ACTION_ID, PLACEHOLDER, FOCUS, may("initial_value", Text(0, 3000)), may("dispatch_action_config", Any)],
    ),
    shape(
        "url_text_input",
        &[ACTION_ID, PLACEHOLDER, FOCUS, may("initial_value", Text(0, 3000)), may("dispatch_action_config", Any)],
    ),
    shape(
        "number_input",
        &[
            ACTION_ID,
            PLACEHOLDER,
            FOCUS,
            need("is_decimal_allowed", Flag),
            may("initial_value", Text(0, 100)),
            may("min_value", Text(0, 100)),
            may("max_value", Text(0, 100)),
            may("dispatch_action_config", Any),
        ],
    ),
    shape("file_input", &[ACTION_ID, may("filetypes", List(1, 100, &Text(1, 20))), may("max_files", Number(1, 10))]),
    shape("image", PICTURE),
    // What a context block holds besides pictures.
    shape("plain_text", &[need("text", Text(1, 3000)), may("emoji", Flag)]),
    shape("mrkdwn", &[need("text", Text(1, 3000)), may("verbatim", Flag)]),
];
