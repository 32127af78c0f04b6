-- One row per dataset, version, scale and aspect bucket: images, expected copies in an epoch, and the share of these.
CREATE OR REPLACE VIEW bucket_balance AS
SELECT
    dataset, version, scale, bucket,
    count(*) AS images,
    sum(weight::DOUBLE) AS copies,
    sum(weight::DOUBLE) / nullif(sum(sum(weight::DOUBLE)) OVER (PARTITION BY dataset, version, scale), 0) AS share
FROM placements
GROUP BY dataset, version, scale, bucket
ORDER BY dataset, version, scale, images DESC, bucket
