-- One row per annotated image: the annotation that counts, of the most trusted annotator and then the most confident
-- one, and the signals that recipes read from it.
CREATE OR REPLACE VIEW annotated AS
SELECT
    image_id, true AS annotated, annotator, model AS annotation_model, prompt_version, annotation,
    annotation.confidence AS annotation_confidence,
    annotation.image_type AS image_type,
    list_contains(annotation.abnormal, 'watermark') AS annotated_watermark,
    list_contains(annotation.abnormal, 'mosaic') AS annotated_mosaic,
    list_contains(annotation.abnormal, 'ai_generated') AS annotated_ai_generated
FROM annotations
WHERE status = 'success'
QUALIFY 1 = row_number() OVER (
    PARTITION BY image_id
    ORDER BY list_position(['openai', 'transformers', 'rules'], annotator), annotation.confidence DESC, model
)
