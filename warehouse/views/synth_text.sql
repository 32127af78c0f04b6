-- The text that was drawn in each synthetic image: whole, and line by line as it stands there; fonts and template.
CREATE OR REPLACE VIEW synth_text AS
SELECT
    image_id, strategy, template, fonts,
    array_to_string(list_transform(texts, lambda t: t.text), chr(10)) AS text,
    flatten(list_transform(texts, lambda t: list_transform(t.lines, lambda l: t.text[l.start + 1 : l."end"]))) AS lines,
    list_sum(list_transform(texts, lambda t: len(t.characters)))::BIGINT AS characters
FROM synth_truth
