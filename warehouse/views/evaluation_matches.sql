-- One row per image that belongs to an evaluation set and must not be trained on: by its id, as a near pair of one of the
-- set's images, or by a caption that is one of its prompts or shares a run of 13 words with one. `matched` is that image
-- or prompt. Where the block lists are empty no caption and no pair is looked at.
--
-- Words are runs of letters and digits in small letters, each Chinese character is a word; full-width letters are as narrow
-- ones, punctuation does not count. A prompt of fewer than 13 words must be the whole caption. A run of 13 words holds a
-- whole one of the caption's successive sevens, wherever it begins: only these are looked up among the prompts' sevens.
CREATE OR REPLACE VIEW evaluation_matches AS
WITH leader AS MATERIALIZED (  -- images that stand behind another are compared by it alone
    SELECT b AS image_id, min(a) AS name FROM near_pairs
    WHERE link = 'same' AND EXISTS (FROM block_images)
    GROUP BY b
),
blocked AS MATERIALIZED (
    SELECT evaluation_set, image_id, coalesce(name, image_id) AS name
    FROM block_images LEFT JOIN leader USING (image_id)
),
pair AS (
    SELECT a, b FROM near_pairs
    WHERE link = 'near' AND distance <= 16 AND tile_distance <= 7.0::FLOAT AND text_differs IS NOT TRUE
),
alike AS MATERIALIZED (
    SELECT evaluation_set, image_id AS matched, name FROM blocked
    UNION ALL
    SELECT evaluation_set, image_id, b FROM blocked JOIN pair ON a = name
    UNION ALL
    SELECT evaluation_set, image_id, a FROM blocked JOIN pair ON b = name
),
by_picture AS (
    SELECT image_id, evaluation_set, min(matched) AS matched, bool_or(image_id = matched) AS itself
    FROM (
        SELECT name AS image_id, evaluation_set, matched FROM alike
        UNION ALL
        SELECT leader.image_id, evaluation_set, matched FROM alike JOIN leader USING (name)
    )
    GROUP BY image_id, evaluation_set
),
said AS (
    SELECT NULL AS image_id, evaluation_set, prompt AS text, prompt FROM block_prompts
    UNION ALL
    SELECT image_id, NULL, text, NULL FROM captions WHERE EXISTS (FROM block_prompts)
),
worded AS (
    SELECT image_id, evaluation_set, prompt, trim(regexp_replace(
        CASE WHEN strlen(text) = length(text) THEN lower(text)
        ELSE regexp_replace(
            translate(
                lower(nfc_normalize(text)),
                'ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ０１２３４５６７８９', 'abcdefghijklmnopqrstuvwxyz0123456789'
            ), '(\p{Han})', ' \1 ', 'g'
        ) END, '[^\p{L}\p{N}]+', ' ', 'g'
    )) AS words
    FROM said
),
prompt AS MATERIALIZED (
    SELECT evaluation_set, prompt, words, string_split(words, ' ') AS word FROM worded
    WHERE evaluation_set IS NOT NULL AND words <> ''
),
long_prompt AS (SELECT * FROM prompt WHERE len(word) >= 13),
looked_up AS MATERIALIZED (
    SELECT words FROM prompt
    UNION
    SELECT unnest([array_to_string(word[i:i + 6], ' ') || ' ' FOR i IN range(1, len(word) - 5)]) FROM long_prompt
),
suspect AS MATERIALIZED (
    SELECT DISTINCT image_id, words FROM (
        SELECT image_id, words,
            unnest(list_append(regexp_extract_all(words || ' ', '(?:[^ ]+ ){7}'), words)) AS part
        FROM worded WHERE image_id IS NOT NULL
    ) SEMI JOIN (SELECT words AS part FROM looked_up) USING (part)
),
run_of_prompt AS (
    SELECT evaluation_set, prompt, unnest([array_to_string(word[i:i + 12], ' ') FOR i IN range(1, len(word) - 11)]) AS words
    FROM long_prompt
),
run_of_caption AS (
    SELECT image_id, unnest([array_to_string(word[i:i + 12], ' ') FOR i IN range(1, len(word) - 11)]) AS words
    FROM (SELECT image_id, string_split(words, ' ') AS word FROM suspect)
    WHERE len(word) >= 13
),
by_prompt AS (
    SELECT image_id, evaluation_set, min(prompt) AS matched
    FROM (
        SELECT image_id, evaluation_set, prompt FROM suspect JOIN prompt USING (words)
        UNION ALL
        SELECT image_id, evaluation_set, prompt FROM run_of_caption JOIN run_of_prompt USING (words)
    )
    GROUP BY image_id, evaluation_set
)
SELECT image_id, evaluation_set, if(itself, 'id', 'near') AS how, if(itself, image_id, matched) AS matched FROM by_picture
UNION ALL
SELECT image_id, evaluation_set, 'prompt', matched FROM by_prompt
