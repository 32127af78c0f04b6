-- How often each character was drawn, in how many images and in how many main fonts: rarest first.
CREATE OR REPLACE VIEW synth_coverage AS
WITH drawn AS (
    SELECT image_id, t.fonts[1] AS font, t.text[c.start + 1 : c."end"] AS character
    FROM (SELECT image_id, unnest(texts) AS t FROM synth_truth), unnest(t.characters) AS u(c)
)
SELECT character, count(*) AS times, count(DISTINCT image_id) AS images, count(DISTINCT font) AS fonts
FROM drawn
GROUP BY character
ORDER BY times, character
